// Package bench measures what the laboratory and the stacks in it can do: parts, each with
// a Sysplex of its own, that add numbers to one flat set of results.
package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

// Config is common to all parts.
type Config struct {
	// Implementation under test.
	Implementation *impl.Manifest
	// Executable is the plexlab command: what supervises laboratories, and the load client inside them.
	Executable string
	// Rounds is how often everything is measured, 1 or more; 0 means 7. Numbers are medians over rounds.
	Rounds int
	// Sample is how long one measurement of a rate runs; 0 means 1.5 s.
	Sample time.Duration
	// Kills is how many processes are killed inside updates of the port file; 0 means 10,000.
	Kills int
	// Progress is called with one line for each step.
	Progress func(line string)
}

// A Part is one benchmark. To add one, write its run function and name it in parts.
type Part struct {
	// Name chooses the part, and is the first word of its keys.
	Name string
	// About says in one line what is measured.
	About string

	run func(context.Context, Config, *Results) error
}

var parts = []Part{
	{"distribute", "connections and bulk throughput: direct, distributed, DNAT and HAProxy", distribute},
	{"lab", "time of up until a client is served, and of down", laboratory},
	{"listen", "time of listen() and close() until the distributor knows", listen},
	{"ports", "cluster-wide ports: bind(), and the port file beside bare locks and etcd", ports},
	{"takeover", "gaps and connections lost when an owner fails, beside keepalived, and what noticing costs", takeover},
}

// Parts lists them in the order in which they run.
func Parts() []Part { return parts }

// Run runs the part of that name, or all of them where name is empty. What was measured before
// an error is returned with it.
func Run(ctx context.Context, config Config, name string) (*Results, error) {
	if config.Rounds == 0 {
		config.Rounds = 7
	}
	if config.Sample == 0 {
		config.Sample = 1500 * time.Millisecond
	}
	if config.Kills == 0 {
		config.Kills = 10_000
	}
	results, found := &Results{}, false
	for _, part := range parts {
		if name != "" && name != part.Name {
			continue
		}
		found = true
		config.Progress(part.Name + ": " + part.About)
		if err := part.run(ctx, config, results); err != nil {
			return results, fmt.Errorf("benchmark %s: %w", part.Name, err)
		}
	}
	if !found {
		return results, &UnknownPartError{name}
	}
	return results, nil
}

// UnknownPartError is the error of a part that does not exist.
type UnknownPartError struct{ Name string }

// Error names the parts there are.
func (e *UnknownPartError) Error() string {
	names := make([]string, len(parts))
	for i, part := range parts {
		names[i] = part.Name
	}
	return fmt.Sprintf("no benchmark %q: there are %s", e.Name, strings.Join(names, ", "))
}
