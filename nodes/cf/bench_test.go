package cf

import (
	"context"
	"testing"
)

func BenchmarkClaim(b *testing.B) {
	f := open(b, config(portFilePath(b), 1))
	mustBind(b, f, dvipa4, 0, Unique)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		c, err := f.Claim(ctx, Request{DVIPA: dvipa4, Use: Unique})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Commit(); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Release(ctx, dvipa4, []Release{{Port: c.Port()}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBare(b *testing.B) {
	f := open(b, config(portFilePath(b), 1))
	mustBind(b, f, dvipa4, 0, Unique)
	m := f.current.Load()
	for b.Loop() {
		if err := tryLock(m.fd, 100000); err != nil {
			b.Fatal(err)
		}
		if err := unlock(m.fd, 100000); err != nil {
			b.Fatal(err)
		}
	}
}
