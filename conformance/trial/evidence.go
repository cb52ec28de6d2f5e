package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

// keepEvidence adds to the packets what a person needs to understand a failure: logs, tables,
// counters, what each stack tells of itself, what the scripted partners saw. Whatever cannot
// be had (the stack may be dead) says why in its place.
func (t *Trial) keepEvidence(ctx context.Context) {
	var failed []error
	keep := func(name string, text []byte, err error) {
		if err != nil {
			text = append(text, fmt.Sprintf("\nnot complete: %v\n", err)...)
		}
		failed = append(failed, os.WriteFile(filepath.Join(t.evidence, name), text, 0o644))
	}
	keep("plan.txt", []byte(t.Plan.String()), nil)
	counters, err := t.Lab.Counters(ctx)
	text, _ := json.MarshalIndent(counters, "", "  ")
	keep("counters.json", text, err)
	for _, node := range t.Plan.Nodes {
		for _, a := range node.Applications {
			log, err := t.log(ctx, node.Name, a.Name)
			keep(node.Name+"-"+a.Name+".log", log, err)
		}
		if node.Kind != topo.KindStack {
			continue
		}
		log, err := t.log(ctx, node.Name, "")
		keep(node.Name+".log", log, err)
		for name, argv := range map[string][]string{
			"ruleset": {"nft", "list", "ruleset"}, "addresses": {"ip", "address"}, "routes": {"ip", "route"}, "routes6": {"ip", "-6", "route"},
			"proxies": {"ip", "-6", "neighbour", "show", "proxy"},
		} {
			output, err := t.output(ctx, node.Name, argv)
			keep(node.Name+"-"+name+".txt", output, err)
		}
		told, err := t.stackTells(ctx, node.Name)
		keep(node.Name+"-control.json", told, err)
	}
	verdict.Engine(errors.Join(failed...), "keep evidence in %s", t.evidence)
	t.keepPackets()
}

// keepPackets keeps what the packet verdict of a spec can be derived from again, and what the scripted
// partners saw.
func (t *Trial) keepPackets() {
	failed := []error{evidence.WriteJudgements(t.evidence, t.Capture.Judgements())}
	for _, tell := range t.told {
		name, text := tell()
		failed = append(failed, os.WriteFile(filepath.Join(t.evidence, name), []byte(text), 0o644))
	}
	verdict.Engine(errors.Join(failed...), "keep evidence in %s", t.evidence)
	ginkgo.AddReportEntry(report.EvidenceEntry, t.evidence, ginkgo.ReportEntryVisibilityFailureOrVerbose)
}

// tellLimit bounds all that one stack says: one that is frozen says nothing.
func tellLimit() time.Duration { return strictly(5 * time.Second) }

// stackTells is everything that the control API of a stack says.
func (t *Trial) stackTells(ctx context.Context, stack string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tellLimit())
	defer cancel()
	client := t.Lab.Control(stack)
	defer client.Close()
	told := map[string]any{}
	var failed []error
	ask(told, &failed, "home", func() (control.Home, error) { return client.Home(ctx) })
	ask(told, &failed, "vipadyn", func() (control.VIPADYN, error) { return client.VIPADYN(ctx) })
	ask(told, &failed, "vdpt", func() (control.VDPT, error) { return client.VDPT(ctx) })
	ask(told, &failed, "vcrt", func() (control.VCRT, error) { return client.VCRT(ctx, 0) })
	ask(told, &failed, "group", func() (control.Group, error) { return client.Group(ctx) })
	ask(told, &failed, "trace", func() (control.Trace, error) { return client.Trace(ctx, 0) })
	text, err := json.MarshalIndent(told, "", "  ")
	return text, errors.Join(append(failed, err)...)
}

func ask[T any](told map[string]any, failed *[]error, name string, question func() (T, error)) {
	answer, err := question()
	if err != nil {
		*failed = append(*failed, err)
		return
	}
	told[name] = answer
}

func (t *Trial) log(ctx context.Context, node, application string) ([]byte, error) {
	log, err := t.Lab.Logs(ctx, node, application, false)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	return io.ReadAll(log)
}

// output runs a command on a node and returns what it writes.
func (t *Trial) output(ctx context.Context, node string, argv []string) ([]byte, error) {
	process, err := t.Lab.Start(ctx, node, lab.ExecSpec{Argv: argv})
	if err != nil {
		return nil, err
	}
	defer process.Close()
	exited, err := process.Wait(ctx)
	text, outputErr := process.Output()
	if err == nil && !exited.Success() {
		err = fmt.Errorf("%s on %s: %s: %s", argv[0], node, exited, bytes.TrimSpace([]byte(text)))
	}
	return []byte(text), errors.Join(err, outputErr)
}
