package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
)

const (
	// viewLimit bounds how long an answer waits for the loop.
	viewLimit = 5 * time.Second
	// defaultCRTRows is what GET /v1/vcrt shows unless asked for more.
	defaultCRTRows = 1000
)

// errInput marks what the caller of the control API did wrong.
var errInput = errors.New("bad request")

// handler is the control API (nodes/contract/control/openapi.yaml).
func (s *stack) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ready", func(w http.ResponseWriter, _ *http.Request) {
		ready, err := s.ready()
		status := http.StatusOK
		if !ready.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, ready, err)
	})
	report(mux, "/v1/home", func(*http.Request) (control.Home, error) { return s.homeList() })
	report(mux, "/v1/vipadcfg", func(*http.Request) (control.VIPADCFG, error) { return s.vipadcfg(), nil })
	report(mux, "/v1/vipadyn", func(*http.Request) (control.VIPADYN, error) { return s.vipadyn() })
	report(mux, "/v1/vdpt", func(*http.Request) (control.VDPT, error) { return s.vdpt() })
	report(mux, "/v1/vcrt", func(r *http.Request) (control.VCRT, error) {
		limit, err := number(r, "limit", defaultCRTRows)
		if err != nil {
			return control.VCRT{}, err
		}
		return s.vcrt(int(min(limit, 1<<30)))
	})
	report(mux, "/v1/ports", s.ports)
	report(mux, "/v1/inuse", func(*http.Request) (control.InUse, error) { return s.inUse() })
	mux.HandleFunc("POST /v1/obey", func(w http.ResponseWriter, r *http.Request) {
		body, err := s.obey(w, r)
		answer(w, http.StatusOK, body, err)
	})
	mux.HandleFunc("POST /v1/vary", func(w http.ResponseWriter, r *http.Request) {
		body, err := s.vary(w, r)
		answer(w, http.StatusOK, body, err)
	})
	report(mux, "/v1/group", func(*http.Request) (control.Group, error) { return s.groupView(), nil })
	report(mux, "/v1/trace", func(r *http.Request) (control.Trace, error) {
		since, err := number(r, "since", 0)
		if err != nil {
			return control.Trace{}, err
		}
		return s.traceSince(since)
	})
	return mux
}

// report serves one view with GET.
func report[T any](mux *http.ServeMux, path string, view func(*http.Request) (T, error)) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		body, err := view(r)
		answer(w, http.StatusOK, body, err)
	})
}

func answer(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		problem := control.Problem{Error: err.Error()}
		status = http.StatusInternalServerError
		switch {
		case errors.Is(err, errInput):
			status = http.StatusBadRequest
		case errors.Is(err, errState):
			status = http.StatusConflict
		}
		var places profile.Errors
		errors.As(err, &places)
		for _, e := range places {
			problem.Errors = append(problem.Errors, control.TextError{
				File: e.Pos.File, Line: e.Pos.Line, Column: e.Pos.Column, Message: e.Message,
			})
		}
		body = problem
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The caller may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// number reads a query parameter that counts something.
func number(r *http.Request, name string, otherwise uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s=%q: expected a number without sign", errInput, name, text)
	}
	return n, nil
}

// listenControl opens the control socket for its owner alone. One that a dead stack left
// behind is replaced; one that answers is not.
func listenControl(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("control socket %s: another stack answers there", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("control socket left behind: %w", err)
		}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return listener, nil
}
