package lab_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// client is a program that builds a lab as the command line does. Its arguments are the name,
// whether the lab is to stay, and the step at which it stands still. It tells each step, then
// "up", and goes when its standard input ends.
func client(args []string) error {
	var plan topo.Plan
	input := bufio.NewReader(os.Stdin)
	text, err := input.ReadBytes('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		return err
	}
	_, err = lab.Up(context.Background(), &plan, lab.Options{
		Name: args[0], Detach: args[1] == "detach", Implementation: tiny(),
		Progress: func(s lab.Step) {
			fmt.Println(s.Kind, s.Object)
			if string(s.Kind) == args[2] {
				_, err := io.Copy(io.Discard, input)
				exitWith(err)
			}
		},
	})
	if err != nil {
		return err
	}
	fmt.Println("up")
	_, err = io.Copy(io.Discard, input)
	return err
}

// attach is a program that finds a lab and asks for its state.
func attach(args []string) error {
	l, err := lab.Attach(args[0])
	if err != nil {
		return err
	}
	_, err = l.Status(context.Background())
	return err
}

// running is such a client.
type running struct {
	*exec.Cmd
	input io.WriteCloser
	lines *bufio.Scanner
}

// startClient starts one whose processes a witness knows.
func startClient(t *testing.T, w *witness, plan *topo.Plan, mode, halt string) *running {
	t.Helper()
	command := exec.Command("/proc/self/exe", "client", w.lab, mode, halt)
	command.Env = os.Environ()
	return startCommand(t, w, command, plan)
}

// startCommand starts a client by its command.
func startCommand(t *testing.T, w *witness, command *exec.Cmd, plan *topo.Plan) *running {
	t.Helper()
	c := &running{Cmd: command}
	c.Env = append(c.Env, w.mark)
	var stderr strings.Builder
	c.Stderr = &stderr
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(output)
	if c.input, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Both may have happened; what counts is that it is over.
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("client: %s", stderr.String())
		}
	})
	if err := json.NewEncoder(c.input).Encode(plan); err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitLine reads until a line with that beginning, or the end.
func (c *running) awaitLine(t *testing.T, want string) {
	t.Helper()
	for c.lines.Scan() {
		if strings.HasPrefix(c.lines.Text(), want) {
			return
		}
	}
	t.Fatalf("the client ended without saying %q: %v", want, c.lines.Err())
}

// killPlan has everything that a lab can have.
func killPlan() *topo.Plan {
	plan := sysplex(2)
	nodeOf(plan, "MVS1").Applications = []topo.PlanApplication{
		{Name: "APPA", Command: []string{"/proc/self/exe", "server", "203.0.0.1:80"}}}
	nodeOf(plan, "CLIENT").Applications = []topo.PlanApplication{
		{Name: "LOAD", Command: []string{"sh", "-c", "sleep 1000 & sleep 1000"}}}
	return plan
}

// The moments at which TestKilled kills: at once, at each step, and when the lab is up.
var moments = []string{"", "supervisor", "networks", "stack", "settled", "application", "ready", "up"}

// TestKilled kills the supervisor or the client at many moments and looks at what is left.
func TestKilled(t *testing.T) {
	for _, victim := range []string{"supervisor", "client"} {
		for _, moment := range moments {
			for _, mode := range []string{"tied", "detach"} {
				if victim == "client" && moment == "up" && mode == "detach" {
					continue // then the lab stays: TestDetached
				}
				t.Run(victim+"/"+moment+"/"+mode, func(t *testing.T) {
					t.Parallel()
					w := newWitness(t, labName(t))
					c := startClient(t, w, killPlan(), mode, moment)
					if moment != "" {
						c.awaitLine(t, moment)
					}
					kill(t, w, c, victim)
				})
			}
		}
	}
}

// TestKilledAnyTime does so at moments that nothing marks.
func TestKilledAnyTime(t *testing.T) {
	const steps = 12
	begin := time.Now()
	w := newWitness(t, labName(t))
	c := startClient(t, w, killPlan(), "tied", "")
	c.awaitLine(t, "up")
	whole := time.Since(begin)
	kill(t, w, c, "client")
	for _, victim := range []string{"supervisor", "client"} {
		for i := range steps {
			t.Run(fmt.Sprintf("%s/%d", victim, i), func(t *testing.T) {
				w := newWitness(t, labName(t))
				c := startClient(t, w, killPlan(), "tied", "")
				<-time.After(whole * time.Duration(i) / steps)
				kill(t, w, c, victim)
			})
		}
	}
}

// kill lets both stand still for the witness to look, and then kills one of them.
func kill(t *testing.T, w *witness, c *running, victim string) {
	t.Helper()
	supervisor := supervisorOf(t, w.lab)
	if supervisor != 0 {
		sendSignal(t, supervisor, unix.SIGSTOP)
	}
	w.look(t)
	switch {
	case victim == "client":
		sendSignal(t, c.Process.Pid, unix.SIGKILL)
		if supervisor != 0 {
			sendSignal(t, supervisor, unix.SIGCONT)
		}
	case supervisor != 0:
		sendSignal(t, supervisor, unix.SIGKILL)
		// The client of a tied lab need not notice: it goes when it is told to.
		c.input.Close()
	default: // not there yet
		c.input.Close()
		sendSignal(t, c.Process.Pid, unix.SIGKILL)
	}
	_ = c.Wait() // killed, or with an error about the supervisor
	w.nothingLeft(t)
}

// TestNothingInheritedStaysOpen gives the client of a lab a pipe that it knows nothing of, as
// shells do. It must end with the client, while the lab stays.
func TestNothingInheritedStaysOpen(t *testing.T) {
	t.Parallel()
	w := newWitness(t, labName(t))
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	command := exec.Command("/proc/self/exe", "client", w.lab, "detach", "")
	command.Env, command.ExtraFiles = os.Environ(), []*os.File{writer, writer}
	c := startCommand(t, w, command, killPlan())
	writer.Close()
	c.awaitLine(t, "up")
	c.input.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("client: %v", err)
	}
	if err := reader.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read of the pipe: %v, want its end", err)
	}
	l, err := lab.Attach(w.lab)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Down(bounded(t)); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft(t)
}

// TestDetached lets the client of a lab go, and finds the lab again.
func TestDetached(t *testing.T) {
	t.Parallel()
	w := newWitness(t, labName(t))
	c := startClient(t, w, killPlan(), "detach", "")
	c.awaitLine(t, "up")
	sendSignal(t, c.Process.Pid, unix.SIGKILL)
	_ = c.Wait()

	l, err := lab.Attach(w.lab)
	if err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, l, "CLIENT", "MVS2", address("203.0.0.2:81")); got != "hello" {
		t.Errorf("got %q", got)
	}
	w.look(t)
	if count := w.namespaces(t); count != 5 {
		t.Errorf("%d namespaces, want those of 4 nodes and the hub", count)
	}
	log, err := l.Logs(bounded(t), "MVS1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := l.Down(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if all := w.processes(t); len(all) > 0 {
		t.Errorf("Down has returned and there are still %v", all)
	}
	w.nothingLeft(t)
	text, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), "asked to end\n") {
		t.Errorf("the stack was not asked to end; its log:\n%s", text)
	}
	if err := l.Down(bounded(t)); err != nil {
		t.Errorf("Down of a lab that is gone: %v", err)
	}
	if _, err := l.Status(bounded(t)); err == nil {
		t.Error("a lab that is gone has a status")
	}
}

// TestTerminated ends the supervisor by SIGTERM, which is as good as Down.
func TestTerminated(t *testing.T) {
	t.Parallel()
	w := newWitness(t, labName(t))
	c := startClient(t, w, killPlan(), "detach", "")
	c.awaitLine(t, "up")
	l, err := lab.Attach(w.lab)
	if err != nil {
		t.Fatal(err)
	}
	w.look(t)
	log, err := l.Logs(bounded(t), "MVS2", "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	sendSignal(t, l.Pid(), unix.SIGTERM)
	select {
	case <-l.Done():
	case <-bounded(t).Done():
		t.Fatal("the lab goes on")
	}
	c.input.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("client: %v", err)
	}
	w.nothingLeft(t)
	if text, err := io.ReadAll(log); err != nil || !strings.Contains(string(text), "asked to end") {
		t.Errorf("log of MVS2: %q, %v", text, err)
	}
}

// TestContextEndsUp gives up while the lab is being built.
func TestContextEndsUp(t *testing.T) {
	t.Parallel()
	plan := sysplex(1)
	nodeOf(plan, "MVS1").Stack.Profile = "mute"
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	name := labName(t)
	_, err := lab.Up(ctx, plan, lab.Options{Name: name, Implementation: tiny(), Progress: func(s lab.Step) {
		if s.Kind == lab.StepStack {
			cancel(io.ErrClosedPipe)
		}
	}})
	if err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("got %v, want the cause", err)
	}
	if pid := supervisorOf(t, name); pid != 0 {
		t.Errorf("Up has returned and supervisor %d is still there", pid)
	}
}
