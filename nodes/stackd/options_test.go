package main

import (
	"strings"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

func TestPortOptions(t *testing.T) {
	for _, c := range []struct {
		pool    string
		restMS  int
		sharing string
		want    portOptions
		problem string
	}{
		{pool: "1024-65535", restMS: 60000, sharing: "port-file", want: portOptions{1024, 65535, time.Minute, control.SharingPortFile}},
		{pool: "1-1", sharing: "distributor", want: portOptions{1, 1, 0, control.SharingDistributor}},
		{pool: "1024", sharing: "port-file", problem: `--pool "1024"`},
		{pool: "0-9", sharing: "port-file", problem: `--pool "0-9"`},
		{pool: "9-8", sharing: "port-file", problem: `--pool "9-8"`},
		{pool: "1-65536", sharing: "port-file", problem: `--pool "1-65536"`},
		{pool: "1-2-3", sharing: "port-file", problem: `--pool "1-2-3"`},
		{pool: "1-2", restMS: -1, sharing: "port-file", problem: "--port-rest-ms -1"},
		{pool: "1-2", sharing: "", problem: `--sharing ""`},
	} {
		o := options{pool: c.pool, restMS: c.restMS, sharing: c.sharing}
		got, err := o.checkPorts()
		switch {
		case c.problem == "" && (err != nil || got != c.want):
			t.Errorf("%+v: got %+v and error %v, want %+v", o, got, err, c.want)
		case c.problem != "" && (err == nil || !strings.HasPrefix(err.Error(), c.problem)):
			t.Errorf("%+v: got error %v, want %q", o, err, c.problem)
		}
	}
}
