package lab_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// tiny is the smallest implementation: it counts as members all that have a control socket.
func tiny() *impl.Manifest {
	return &impl.Manifest{
		Name: "tiny", Version: "1",
		Start:        []string{"/proc/self/exe", "tiny-stack", "{{.Stack}}", "{{.Control}}", "{{.Profile}}", "{{.Key}}", "{{.XCFAddress}}"},
		Launch:       []string{"/proc/self/exe", "tiny-launcher", "{{.App}}"},
		ReadyTimeout: 20 * time.Second,
		Variant:      impl.SpecifiedAddressBypass,
	}
}

// tinyStack is the program of tiny. Its profile says how it behaves: empty, as it should;
// "die", it ends; "mute", it is never ready; "shy", it sees the others when it is asked the
// third time; "hermit", it sees them in its first life only; "busy", it starts programs all the time.
func tinyStack(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("%d arguments, want 5", len(args))
	}
	stack, socket, profilePath, keyPath, xcf := args[0], args[1], args[2], args[3], args[4]
	profile, err := os.ReadFile(profilePath)
	if err != nil {
		return err
	}
	if _, err := contract.LoadKey(keyPath); err != nil {
		return err
	}
	fmt.Printf("%s at %s with profile %q\n", stack, xcf, profile)
	if string(profile) == "die" {
		return errors.New("this profile is too much for me")
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, unix.SIGTERM)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	var asked atomic.Int64
	_, notLived := os.Stat("lived")
	if err := os.WriteFile("lived", nil, 0o644); err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sockets, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(socket)), "*", filepath.Base(socket)))
		answer := control.Ready{
			Implementation: "tiny", Stack: stack, Incarnation: uint64(time.Now().UnixNano()),
			Ready: err == nil && string(profile) != "mute", Members: len(sockets), Settled: true,
		}
		if string(profile) == "hermit" && notLived == nil || string(profile) == "shy" && asked.Add(1) < 3 {
			answer.Members = 1
		}
		if !answer.Ready {
			answer.Reason = "told to be mute"
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})}
	go server.Serve(listener)
	for string(profile) == "busy" && len(terminated) == 0 {
		if err := exec.Command("true").Run(); err != nil {
			return err
		}
	}
	<-terminated
	fmt.Println("asked to end")
	return nil
}

// tinyLauncher runs its arguments with the name of the application in the environment.
func tinyLauncher(args []string) error {
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return syscall.Exec(program, args[1:], append(os.Environ(), "APPLICATION="+args[0]))
}

// server is an application: it listens at an address and answers each connection with its
// own name, the files beside it, and what it was sent.
func server(args []string) error {
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		files, err := os.ReadDir(".")
		if err != nil {
			return err
		}
		var names []string
		for _, file := range files {
			names = append(names, file.Name())
		}
		fmt.Fprintf(conn, "%s has %s\n", os.Getenv("APPLICATION"), strings.Join(names, " "))
		conn.Close()
	}
}

// orphans leaves ten children behind that end at once, and whose end PID 1 must collect.
func orphans() error {
	for range 10 {
		if err := exec.Command("sh", "-c", "sh -c 'exit 7' & sh -c 'exit 8' &").Run(); err != nil {
			return err
		}
	}
	return nil
}
