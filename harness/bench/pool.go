package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// portPool has all ports of a pool claimed, by stacks that take as many as they get at once, and
// given back. The time is that of both. A port that was given twice or is lost is an error,
// and so is whatever an audit finds.
func portPool(ctx context.Context, config Config, results *Results) error {
	p, err := newPortPlex(config)
	if err != nil {
		return err
	}
	defer p.close()
	config.Progress(fmt.Sprintf("ports: a whole pool, by %d", contenders))
	stacks, err := startWorkers(contenders, func(i int) (*worker, error) { return p.start(ctx, i) })
	defer stacks.end()
	if err != nil {
		return err
	}
	begun := time.Now()
	held, err := stacks.do(claimer.Job{Do: claimer.Hold, DVIPA: portDVIPA})
	if err != nil {
		return err
	}
	took := time.Since(begun)
	file, err := portfile.Open(p.portFile())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := checkHeld(file, held); err != nil {
		return err
	}
	begun = time.Now()
	if _, err := stacks.do(claimer.Job{Do: claimer.Release, DVIPA: portDVIPA}); err != nil {
		return err
	}
	took += time.Since(begun)
	if err := checkUnused(file); err != nil {
		return err
	}
	results.add("ports.pool.ports", float64(poolSize), "")
	results.add("ports.pool.s", took.Seconds(), "s")
	return nil
}

// checkHeld compares what stacks 1, 2, ... say they hold with the file: each port of the pool has
// one stack, and it is that one.
func checkHeld(file *portfile.File, held []claimer.Answer) error {
	snapshot, err := audited(file)
	if err != nil {
		return err
	}
	holder := map[uint16]int{}
	for i, answer := range held {
		for _, port := range answer.Ports {
			if other, twice := holder[port]; twice {
				return fmt.Errorf("port %d was given twice, to MVS%d and to MVS%d", port, other, i+1)
			}
			holder[port] = i + 1
		}
	}
	if len(holder) != poolSize || len(snapshot.Ports) != poolSize {
		return fmt.Errorf("stacks hold %d ports and the port file says %d, of a pool of %d", len(holder), len(snapshot.Ports), poolSize)
	}
	for _, port := range snapshot.Ports {
		stack := holder[port.Port]
		if !port.Unique || len(port.Holders) != 1 || port.Holders[0] != xcfOf(stack) {
			return fmt.Errorf("port %d is held by MVS%d, and by %v in the port file (unique: %v)", port.Port, stack, port.Holders, port.Unique)
		}
	}
	return nil
}

// checkUnused checks that no port is in use and that the whole pool is available.
func checkUnused(file *portfile.File) error {
	snapshot, err := audited(file)
	if err != nil {
		return err
	}
	for _, port := range snapshot.Ports {
		if port.Unique || len(port.Holders) > 0 {
			return fmt.Errorf("port %d of %s is still held by %v", port.Port, portDVIPA, port.Holders)
		}
	}
	if snapshot.Available != poolSize {
		return fmt.Errorf("%d ports of %s are available of a pool of %d", snapshot.Available, portDVIPA, poolSize)
	}
	return nil
}

// audited is the entry, in which an audit finds nothing. It takes the lock of the entry,
// so nobody has it.
func audited(file *portfile.File) (portfile.Snapshot, error) {
	snapshot, err := file.Snapshot(portDVIPA)
	if err == nil && len(snapshot.Findings) > 0 {
		err = fmt.Errorf("the audit of %s has %d findings, the first: %s", portDVIPA, len(snapshot.Findings), snapshot.Findings[0])
	}
	return snapshot, err
}
