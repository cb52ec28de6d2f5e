package contract

import (
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// Every rule of WORKLOAD that a partner may break.
func TestUnmarshalRefusesWorkloads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want           string
		capacity, load uint32
	}{
		{"WORKLOAD: capacity: 0, want 1 to 16384000", 0, 0},
		{"WORKLOAD: capacity: 16384001, want 1 to 16384000", MaxCapacity + 1, 0},
		{"WORKLOAD: load: 2001, want 0 to 2000 (capacity)", 2000, 2001},
	} {
		wantRefused(t, &xcfpb.Envelope{Body: &xcfpb.Envelope_Workload{
			Workload: &xcfpb.Workload{Capacity: test.capacity, Load: test.load},
		}}, test.want)
	}
}
