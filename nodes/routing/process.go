package routing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// restartPause is the pause before a daemon that has ended is started again; it doubles up to
	// restartPauseMost while daemons live shorter than that.
	restartPause     = 100 * time.Millisecond
	restartPauseMost = 5 * time.Second
)

// supervise starts BIRD, and again whenever it ends, until the Daemon closes. The kernel kills BIRD when
// the thread ends that started it (PR_SET_PDEATHSIG), so this goroutine keeps its thread for good: with
// the stack's process, by whatever means, or with this function.
func (d *Daemon) supervise() {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	defer close(d.ended)
	if err := d.enterNamespace(); err != nil {
		select {
		case <-d.closing:
		case d.died <- err:
		}
		return
	}
	pause := restartPause
	for {
		begin := time.Now()
		err := d.live()
		select {
		case <-d.closing:
			return
		case d.died <- err: // Open is told, and gives up
			return
		case <-d.opened:
		}
		if d.isClosing() {
			return
		}
		if time.Since(begin) > restartPauseMost {
			pause = restartPause
		}
		d.config.Log.Error("bird has ended and is started again", "reason", err, "in", pause)
		select {
		case <-d.closing:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, restartPauseMost)
	}
}

func (d *Daemon) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// enterNamespace brings the thread into the network namespace that Open was called in.
func (d *Daemon) enterNamespace() error {
	defer d.namespace.Close()
	ours, err := os.Stat(currentNamespace)
	if err != nil {
		return fmt.Errorf("find network namespace: %w", err)
	}
	wanted, err := d.namespace.Stat()
	if err != nil {
		return fmt.Errorf("find network namespace: %w", err)
	}
	if os.SameFile(ours, wanted) {
		return nil // and takes no privilege
	}
	if err := unix.Setns(int(d.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// live is the life of one daemon. The error says how it ended. It stays in the process group of the stack, so
// that what stops the group stops both: a neighbour then misses the daemon within five times Config.BFD.
func (d *Daemon) live() error {
	said := &listener{log: d.config.Log}
	command := exec.Command(d.config.Program, "-f", "-c", d.config.configPath(), "-s", d.config.controlPath())
	command.Stdout, command.Stderr = said, said
	command.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	d.mu.Lock()
	err := command.Start()
	if err == nil {
		d.process = command.Process
	}
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("start bird: %w", err)
	}
	err = command.Wait()
	d.mu.Lock()
	d.process = nil
	d.mu.Unlock()
	if err == nil {
		err = errors.New("it ended by itself")
	}
	if last := said.lastWords(); last != "" {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// signal sends a signal to BIRD while it runs.
func (d *Daemon) signal(number os.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil {
		_ = d.process.Signal(number) // it may have ended
	}
}

// listener hands BIRD's log on, a line each.
type listener struct {
	log *slog.Logger

	mu   sync.Mutex
	rest []byte // of a line that is not complete
	last string
}

// Write never fails.
func (l *listener) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, text...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(text), nil
		}
		l.rest = rest
		level, words := parseLine(string(line))
		l.last = words
		l.log.Log(context.Background(), level, "bird: "+words)
	}
}

// lastWords is the last line.
func (l *listener) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// orderlyEnd is BIRD's last message after SIGTERM, in the class FATAL.
const orderlyEnd = "Shutdown completed"

// levels are BIRD's classes of messages (lib/birdlib.h); others are information.
var levels = map[string]slog.Level{
	"RMT": slog.LevelWarn, "WARN": slog.LevelWarn, "AUTH": slog.LevelWarn,
	"ERR": slog.LevelError, "FATAL": slog.LevelError, "BUG": slog.LevelError,
}

// parseLine takes a line of BIRD's log apart: 2026-01-31 12:00:00.000 <WARN> words. What it says before it has
// read its configuration is "bird: words".
func parseLine(line string) (slog.Level, string) {
	if words, ok := strings.CutPrefix(line, "bird: "); ok {
		return slog.LevelError, words
	}
	if _, rest, ok := strings.Cut(line, " <"); ok {
		if class, words, ok := strings.Cut(rest, "> "); ok {
			if words == orderlyEnd {
				class = "INFO"
			}
			return levels[class], words
		}
	}
	return slog.LevelInfo, line
}
