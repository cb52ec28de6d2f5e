package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
)

// idleFor is how long an idle plex is watched.
const idleFor = 10 * time.Second

// detection measures what the stacks of an idle plex, of five and of 32, take of a processor: the mean
// of them, in percent of one core.
func detection(ctx context.Context, config Config, results *Results) error {
	for _, size := range []struct {
		stacks int
		key    string
	}{{5, "detection.cpu_percent"}, {32, "detection.cpu_percent.32"}} {
		config.Progress(fmt.Sprintf("takeover: an idle plex of %d", size.stacks))
		percent, err := idle(ctx, config, size.stacks)
		if err != nil {
			return fmt.Errorf("an idle plex of %d: %w", size.stacks, err)
		}
		results.add(size.key, percent, "%")
	}
	return nil
}

func idle(ctx context.Context, config Config, stacks int) (percent float64, err error) {
	plan, err := sysplexOf(stacks).Plan()
	if err != nil {
		return 0, err
	}
	l, err := lab.Up(ctx, &plan, config.options("bench-detection"))
	if err != nil {
		return 0, err
	}
	p := &plex{config: config, lab: l, control: l.Control(routing)}
	defer p.close()
	if err := p.reachable(ctx, client, sysplexService); err != nil {
		return 0, err
	}
	before, err := processorTime(ctx, l)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := pause(ctx, idleFor); err != nil {
		return 0, err
	}
	after, err := processorTime(ctx, l)
	if err != nil {
		return 0, err
	}
	return 100 * (after - before).Seconds() / time.Since(began).Seconds() / float64(stacks), nil
}

// processorTime is what the processes of all stacks have had, by the schedulers' statistics of their threads
// (/proc/PID/task/TID/schedstat, nanoseconds first). Threads of these processes don't end.
func processorTime(ctx context.Context, l *lab.Lab) (sum time.Duration, err error) {
	status, err := l.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, node := range status.Nodes {
		if node.State == "" {
			continue
		}
		if node.Pid == 0 {
			return 0, fmt.Errorf("stack %s has ended: %s", node.Name, node.Reason)
		}
		threads, err := filepath.Glob(fmt.Sprintf("%s/proc/%d/task/*/schedstat", l.RootPath(), node.Pid))
		if err != nil {
			return 0, err
		}
		if len(threads) == 0 {
			return 0, errors.New("no statistics of threads in /proc: a kernel with CONFIG_SCHED_INFO is needed")
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err != nil {
				return 0, err
			}
			had, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", thread, err)
			}
			sum += time.Duration(had)
		}
	}
	return sum, nil
}
