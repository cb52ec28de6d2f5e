package claimrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// contenderVariable makes the test binary a contender.
const contenderVariable = "PLEXLAB_CLAIMRATE_CONTENDER"

func TestMain(m *testing.M) {
	if os.Getenv(contenderVariable) == "" {
		os.Setenv(contenderVariable, "yes") // for the processes it starts
		os.Exit(m.Run())
	}
	n, err := strconv.Atoi(os.Args[2])
	if err == nil {
		err = Work(os.Args[1], n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func portFilePath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "plexlab-claimrate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "ports")
}

var self = []string{"/proc/self/exe"}

func TestMeasure(t *testing.T) {
	r, err := Measure(self, portFilePath(t), 2, 1, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Claims <= 0 || r.Bare <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("measured %+v", r)
	}
}

func BenchmarkClaims(b *testing.B) {
	for _, contenders := range []int{1, 8} {
		b.Run(strconv.Itoa(contenders), func(b *testing.B) {
			for b.Loop() {
				r, err := Measure(self, portFilePath(b), contenders, 25, 40*time.Millisecond)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(r.Claims, "claims/s")
				b.ReportMetric(r.Bare, "bare/s")
				b.ReportMetric(r.Ratio(), "ratio")
				b.ReportMetric(float64(r.P99.Microseconds()), "p99-us")
			}
		})
	}
}

func BenchmarkKills(b *testing.B) {
	for b.Loop() {
		r, err := MeasureKills(self, portFilePath(b), 8, 5*time.Second)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(r.P50.Microseconds()), "p50-us")
		b.ReportMetric(float64(r.P99.Microseconds()), "p99-us")
		b.ReportMetric(r.Claims, "claims/s")
	}
}
