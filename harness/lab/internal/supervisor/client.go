package supervisor

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// client is whoever has started the lab.
type client struct {
	conn     *net.UnixConn
	born     time.Time
	detached atomic.Bool

	sending sync.Mutex
	told    bool // that the lab is ready, or why not: then nobody listens any more
}

// watch ends this process, and the lab with it, when the client goes without having
// detached. There is nobody left to tell.
func (c *client) watch() {
	for {
		var message wire.Detach
		if _, err := wire.Receive(c.conn, &message); err != nil {
			break
		}
		if message.Detach {
			c.detached.Store(true)
		}
	}
	if !c.detached.Load() {
		os.Exit(1)
	}
	c.conn.Close()
}

// report tells the client, until it knows how it ended. One that is gone is watch's affair.
func (c *client) report(report wire.Report) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.told {
		return
	}
	c.told = report.Step == nil
	_ = wire.Send(c.conn, report)
}

// step tells the client what was done since begin.
func (c *client) step(kind wire.StepKind, object, detail string, begin time.Time) {
	c.report(wire.Report{Step: &wire.Step{
		Kind: kind, Object: object, Detail: detail, Took: time.Since(begin), At: time.Since(c.born),
	}})
}
