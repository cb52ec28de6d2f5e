// Package supervisor is PID 1 of a lab: it builds the networks, starts stacks and
// applications, takes requests, and with it everything ends.
//
// What a lab is made of lives only as long as something refers to it, and all of it is
// referred to from here: processes are in this process's PID namespace, network namespaces
// are held by its descriptors, files lie in a tmpfs of its mount namespace. So the kernel
// takes the lab down when this process ends, by whatever means.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/fabric"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/reaper"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/calm"
	"github.com/plexlab-dev/plexlab/topo"
)

// inherited is the descriptor of the socket to the client.
const inherited = 3

// graceful bounds the time that stacks and applications get to end by themselves.
const graceful = 300 * time.Millisecond

// supervisor is the lab.
type supervisor struct {
	setup  wire.Setup
	plan   *topo.Plan
	born   time.Time
	limits []string // what does not work here, for people
	log    *slog.Logger
	key    contract.Key
	client *client
	reaper *reaper.Reaper
	fabric *fabric.Fabric
	nodes  map[string]*node
	order  []*node // of the plan
	faults schedule

	stopping chan struct{} // closed when the lab begins to end
	stop     sync.Once
	logs     atomic.Int64 // of processes that clients have started
}

// Run is the whole life of a supervisor; the result is its exit status. The process must
// have been started by package lab: as PID 1 of a PID namespace, with its socket.
func Run() int {
	unix.CloseOnExec(inherited)
	file := os.NewFile(inherited, "client")
	if file == nil {
		return refuse(errors.New("no descriptor of a client"))
	}
	conn, err := net.FileConn(file)
	file.Close()
	stream, ok := conn.(*net.UnixConn)
	if err != nil || !ok || os.Getpid() != 1 {
		return refuse(errors.New("this command is started by plexlab itself"))
	}
	s := &supervisor{
		born: time.Now(), nodes: map[string]*node{}, stopping: make(chan struct{}),
	}
	s.client = &client{conn: stream, born: s.born}
	if _, err := wire.Receive(stream, &s.setup); err != nil {
		return refuse(fmt.Errorf("client: %w", err))
	}
	// From here on the client's end is noticed at once, whatever else is going on.
	go s.client.watch()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.up(ctx); err != nil {
		// Nothing to undo: it all ends with this process.
		s.client.report(wire.Report{Error: wire.NewError(err)})
		return 1
	}
	s.takeOverOutput()
	s.client.report(wire.Report{Ready: true})
	go s.runSchedule(ctx)
	<-s.stopping
	s.end()
	return 0
}

// refuse says why there is no lab, to whoever reads standard error.
func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "supervisor:", err)
	return 2
}

// up builds the lab as far as ready.
func (s *supervisor) up(ctx context.Context) error {
	begin := time.Now()
	if s.setup.Version != wire.Version {
		return fmt.Errorf("the client speaks version %d of the protocol, the supervisor %d", s.setup.Version, wire.Version)
	}
	s.plan = s.setup.Plan
	finder, err := listenAbstract(s.setup.UID, s.setup.Name)
	if err != nil {
		return err
	}
	go acceptAndClose(finder)
	unix.Umask(0o022)
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if s.limits, err = mountAll(s.setup.Name); err != nil {
		return err
	}
	if err := s.openLog(); err != nil {
		return err
	}
	if err := calm.Monitor(); err != nil {
		s.log.Warn("this laboratory uses more of the processors than it needs", "error", err)
	}
	s.key = contract.NewKey()
	if err := contract.WriteKey(wire.KeyPath, s.key); err != nil {
		return err
	}
	s.reaper = reaper.New()
	s.endOnSignal()
	s.client.step(wire.StepSupervisor, "", "", begin)

	begin = time.Now()
	if s.fabric, err = fabric.Build(s.plan); err != nil {
		return fmt.Errorf("build the networks: %w", err)
	}
	if err := s.addNodes(); err != nil {
		return err
	}
	s.client.step(wire.StepNetworks, "", fmt.Sprintf("%d networks, %d nodes", len(s.plan.Networks), len(s.plan.Nodes)), begin)

	if err := s.startRouters(); err != nil {
		return err
	}
	if err := s.startStacks(ctx); err != nil {
		return err
	}
	if err := s.startApplications(ctx); err != nil {
		return err
	}
	if err := s.awaitRoutes(ctx); err != nil {
		return err
	}
	if s.setup.Names {
		if err := s.nameNamespaces(); err != nil {
			return err
		}
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	s.client.step(wire.StepReady, "", "", s.born)
	return nil
}

// openLog opens the supervisor's own log.
func (s *supervisor) openLog() error {
	file, err := os.OpenFile(wire.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	s.log = slog.New(slog.NewTextHandler(file, nil))
	return nil
}

// takeOverOutput sends what the Go runtime may have to say to the log, now that the client,
// who has listened so far, may go.
func (s *supervisor) takeOverOutput() {
	file, err := os.OpenFile(wire.LogPath, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		s.log.Error("standard error stays with the client", "error", err)
		return
	}
	defer file.Close()
	for descriptor := 1; descriptor <= 2; descriptor++ {
		if err := unix.Dup3(int(file.Fd()), descriptor, 0); err != nil {
			s.log.Error("standard error stays with the client", "error", err)
		}
	}
}

// endOnSignal makes SIGTERM and SIGINT end the lab in order.
func (s *supervisor) endOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-signals
		s.beginEnd()
	}()
}

// beginEnd begins the end of the lab, once.
func (s *supervisor) beginEnd() { s.stop.Do(func() { close(s.stopping) }) }

// isStopping reports whether the lab is ending.
func (s *supervisor) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// end asks every process to end and gives them a moment. Whatever is left then ends with
// this process.
func (s *supervisor) end() {
	s.removeNames()
	// For PID 1, -1 is everybody else in its namespace (kill(2)).
	if err := unix.Kill(-1, unix.SIGTERM); err != nil {
		return // there is nobody
	}
	_ = awaitNone(graceful, canHear, func([]entry) error { return nil })
}

// canHear matches processes that a signal other than SIGKILL reaches: a frozen one cannot
// act on it, one that has ended need not.
func canHear(dir string) bool {
	state, err := threadState(dir + "/stat")
	return err == nil && state != 'T' && state != 'Z' && state != 'X'
}
