package control_test

import (
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/contract/internal/described"
)

func TestDescriptionMatchesTypes(t *testing.T) {
	described.Check(t, "openapi.yaml",
		control.Ready{}, control.Home{}, control.HomeAddress{}, control.VIPADCFG{}, control.VIPADYN{},
		control.DynamicVIPA{}, control.VDPT{}, control.DPTEntry{}, control.VCRT{}, control.CRTEntry{},
		control.Group{}, control.GroupMember{}, control.Trace{}, control.TraceStep{}, control.Problem{}, control.TextError{},
		control.Ports{}, control.DVIPAPorts{}, control.ClusterPort{}, control.PortFinding{},
		control.InUse{}, control.DVIPAInUse{}, control.ObeyRequest{}, control.ObeyAnswer{}, control.ObeyEffect{},
		control.VaryRequest{}, control.VaryTarget{}, control.VaryAnswer{},
	)
}
