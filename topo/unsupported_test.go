package topo

import (
	"errors"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

func TestUnsupportedTellsWhereTheFileAsks(t *testing.T) {
	t.Parallel()
	const file = `plex: PLEX1
symbols: {DVA1: 192.168.44.10, XCF2: 10.1.0.2}
networks:
  - {name: xcf, subnet: 10.1.0.0/24, xcf: true}
  - {name: net44, subnet: 192.168.44.0/24}
stacks:
  - name: MVS1
    xcf: 10.1.0.1
    links: [{network: net44, address: 192.168.44.101}]
    profile: |
      VIPADynamic
        VIPADEFine CLUSTERPORTS 255.255.255.0 DVA1
        VIPADISTribute DVA1 DESTIP XCF2 WEIGHT 3
        SOURCEIPA DVA1 APPA
      ENDVIPADynamic
  - name: MVS2
    xcf: XCF2
`
	topology, err := Parse("plex.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	acts := profile.Weights | profile.SourceIPAs
	err = topology.Unsupported(func(string) profile.Features { return acts })
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want an error that is errors.ErrUnsupported", err)
	}
	if want := "plex.yaml:12:20: CLUSTERPORTS is not supported yet by this implementation"; err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	acts |= profile.ClusterPorts
	if err := topology.Unsupported(func(string) profile.Features { return acts }); err != nil {
		t.Errorf("for an implementation that acts upon everything: got %v, want nil", err)
	}
}
