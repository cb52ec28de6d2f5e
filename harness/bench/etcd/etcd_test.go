package etcd_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/bench/etcd"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

func start(t *testing.T) *etcd.Server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("etcd is not installed: make setup")
	}
	server, err := etcd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func TestAKeyIsCreatedOnceUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	client := etcd.NewClient(start(t).Endpoint)
	defer client.Close()
	ctx := t.Context()
	for i, want := range []bool{true, false} {
		if created, err := client.Create(ctx, "/ports/44.0.0.10/5000", "1"); err != nil || created != want {
			t.Errorf("create, time %d: %v, %v, want %v", i+1, created, err, want)
		}
	}
	for i, want := range []bool{true, false} {
		if deleted, err := client.Delete(ctx, "/ports/44.0.0.10/5000"); err != nil || deleted != want {
			t.Errorf("delete, time %d: %v, %v, want %v", i+1, deleted, err, want)
		}
	}
	if _, err := client.Create(ctx, "", "1"); err == nil {
		t.Error("an empty key was created")
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	server := start(t)
	in, jobs := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- etcd.Claim(t.Context(), server.Endpoint, 1, in, out) }()
	decoder, encoder := json.NewDecoder(answers), json.NewEncoder(jobs)
	answer := func() (a claimer.Answer) {
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	answer()
	if err := encoder.Encode(claimer.Job{Do: claimer.Cycle, For: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if a := answer(); a.Error != "" || a.Operations < 2 {
		t.Errorf("cycle: %+v", a)
	}
	if err := encoder.Encode(claimer.Job{Do: claimer.Churn}); err != nil {
		t.Fatal(err)
	}
	if a := answer(); a.Error == "" {
		t.Error("etcd claims to churn")
	}
	jobs.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
