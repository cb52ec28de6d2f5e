package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

const (
	// maxVary bounds the body of POST /v1/vary in bytes.
	maxVary = 4096
	// rejoinLimit bounds how long a stack that returns to its group waits for the partners that it had, so
	// that it knows who owns what before it takes anything back.
	rejoinLimit = 200 * time.Millisecond
	// rejoinLook is how often it looks meanwhile.
	rejoinLook = 10 * time.Millisecond
	// leftByCommand is what keeps a stack out of its group that an operator took out.
	leftByCommand = "it left the group by command (leavegroup); joingroup brings it back"
)

// errState marks what a stack cannot do as things are.
var errState = errors.New("nothing is changed")

// commands are the operator's commands as the core has them, and what is so when they are done.
var commands = map[control.VaryCommand]struct {
	core vipa.VaryCommand
	done string
}{
	control.VaryQuiesce:    {vipa.VaryQuiesce, "is quiesced: it gets no new connections, those that there are go on"},
	control.VaryResume:     {vipa.VaryResume, "gets new connections again"},
	control.VaryDeactivate: {vipa.VaryDeactivate, "is deactivated here: this stack neither owns it nor backs it up"},
	control.VaryReactivate: {vipa.VaryReactivate, "is active here again as far as its definition makes it"},
	control.VaryLeaveGroup: {vipa.VaryLeaveGroup, "has left the group in order"},
	control.VaryJoinGroup:  {vipa.VaryJoinGroup, "is in the group again"},
}

// vary carries out an operator's command, one at a time.
func (s *stack) vary(w http.ResponseWriter, r *http.Request) (control.VaryAnswer, error) {
	var request control.VaryRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxVary))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&request)
	if err == nil {
		err = request.Check()
	}
	if err != nil {
		return control.VaryAnswer{}, fmt.Errorf("%w: %w", errInput, err)
	}
	s.varying.Lock()
	defer s.varying.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), viewLimit)
	defer cancel()
	if request.Command == control.VaryJoinGroup {
		s.rejoin(ctx)
	}
	if err := s.askVary(ctx, request); err != nil {
		return control.VaryAnswer{}, err
	}
	if request.Command == control.VaryLeaveGroup {
		// The core has given up what it owned; that is among what is sent before the stack is gone.
		s.before = len(s.group.Members())
		s.around.depart()
		if err := s.group.Depart(ctx, leftByCommand); err != nil {
			return control.VaryAnswer{}, fmt.Errorf("leave the group: %w", err)
		}
	}
	answer := control.VaryAnswer{Text: fmt.Sprintf("%s %s", request.Target, commands[request.Command].done)}
	if request.Command == control.VaryQuiesce && request.Target.Port != 0 {
		answer.Text += "; so it is with what listens on it later"
	}
	s.log.Info("operator's command", "command", request.Command, "target", request.Target)
	return answer, nil
}

// askVary hands the command to the core and waits until it is done.
func (s *stack) askVary(ctx context.Context, request control.VaryRequest) error {
	id, answered := s.varies.add()
	defer s.varies.remove(id)
	s.loop.post(vipa.Vary{
		ID: id, Command: commands[request.Command].core,
		Port: request.Target.Port, Application: request.Target.Application, DVIPA: request.Target.DVIPA.Unmap(),
	})
	select {
	case refused := <-answered:
		if refused != "" {
			return fmt.Errorf("%w: %s", errState, refused)
		}
		return nil
	case <-s.loop.stop:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// varied is part of edges.
func (s *stack) varied(done vipa.Varied) { s.varies.answer(done.ID, done.Refused) }

// rejoin returns to the group and waits until the partners of before have told their lists, or
// rejoinLimit is over. A stack that has not left goes on.
func (s *stack) rejoin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	s.group.Return()
	s.around.comeBack()
	tick := time.NewTicker(rejoinLook)
	defer tick.Stop()
	for {
		gathered := false
		err := s.loop.look(rejoinLimit, func() {
			gathered = len(s.loop.core.Members()) >= s.before && s.loop.core.Settled()
		})
		if err != nil || gathered {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
