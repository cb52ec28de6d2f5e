package etcd

import (
	"context"
	"fmt"
	"io"

	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// The pool of ports that cycles go round.
const firstPort, lastPort = 1024, 65535

// Claim is a claimer (nodes/contract/claimer) of which each port is a key at an etcd server, the
// number of the stack its value: it creates the key if there is none, and deletes it. Of the works
// it has cycle alone. It does less than a stack would have to: where a process is killed, its keys
// stay, and no port rests.
func Claim(ctx context.Context, endpoint string, stack int, in io.Reader, out io.Writer) error {
	client := NewClient(endpoint)
	defer client.Close()
	// Everybody starts elsewhere, so that a key is seldom there already.
	port := firstPort + stack*4096%(lastPort-firstPort)
	return claimer.Serve(in, out, func(job claimer.Job) (claimer.Answer, error) {
		if job.Do != claimer.Cycle {
			return claimer.Answer{}, fmt.Errorf("job %q: etcd can cycle only", job.Do)
		}
		return claimer.Repeat(job.For, 2, func() error {
			for {
				if port++; port > lastPort {
					port = firstPort
				}
				key := fmt.Sprintf("/ports/%s/%d", job.DVIPA, port)
				if created, err := client.Create(ctx, key, fmt.Sprint(stack)); err != nil {
					return err
				} else if !created {
					continue
				}
				deleted, err := client.Delete(ctx, key)
				if err == nil && !deleted {
					err = fmt.Errorf("key %s is not there any more", key)
				}
				return err
			}
		})
	})
}
