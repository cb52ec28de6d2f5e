package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// maxObeyed bounds the body of POST /v1/obey in bytes: the ports of many stacks may be in it.
const maxObeyed = 64 << 20

// reach is where the network finds this stack.
func (s *stack) reach() profile.Reach {
	subnets := slices.Concat(s.subnets, subnetsOf(s.options.outside))
	slices.SortFunc(subnets, netip.Prefix.Compare)
	return profile.Reach{Stack: s.self.Stack, Outside: slices.Compact(subnets), Advertised: s.routing.Load() != nil}
}

// obey is VARY OBEY: statements are added to the definitions in force or change them. An error
// changes nothing; a dry run changes nothing either.
func (s *stack) obey(w http.ResponseWriter, r *http.Request) (control.ObeyAnswer, error) {
	var request control.ObeyRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxObeyed))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		return control.ObeyAnswer{}, fmt.Errorf("%w: %w", errInput, err)
	}
	// One at a time: each adds to what the one before made.
	s.obeying.Lock()
	defer s.obeying.Unlock()
	obeyed, err := profile.Obey(s.profile.Load(), request.File, []byte(request.Text), request.Symbols)
	if err == nil {
		err = obeyed.Profile.Unsupported(actsUpon)
	}
	if err == nil {
		err = obeyed.Unreachable(s.reach())
	}
	if err != nil {
		return control.ObeyAnswer{}, fmt.Errorf("%w: %w", errInput, err)
	}
	def := definition(obeyed.Profile)
	answer := control.ObeyAnswer{Applied: !request.DryRun, Changes: []control.ObeyEffect{}, Conflicts: []control.ObeyEffect{}}
	if err := s.loop.look(viewLimit, func() {
		for _, change := range s.loop.core.Changes(def) {
			effect := control.ObeyEffect{Text: change.Subject + ": " + change.Text}
			if statement, ok := obeyed.About(change.Subject); ok {
				effect.Statement = statement.String()
			}
			if change.Conflict {
				answer.Conflicts = append(answer.Conflicts, effect)
			} else {
				answer.Changes = append(answer.Changes, effect)
			}
		}
	}); err != nil {
		return answer, err
	}
	found, err := s.portConflicts(def, request.InUse)
	if err != nil {
		return answer, err
	}
	for _, conflict := range found {
		effect := control.ObeyEffect{Text: conflict.text}
		if statement, ok := obeyed.About(conflict.dvipa.String()); ok {
			effect.Statement = statement.String()
		}
		answer.Conflicts = append(answer.Conflicts, effect)
	}
	if request.DryRun {
		return answer, nil
	}
	if err := s.loop.do(vipa.ProfileChanged{Definition: def}, viewLimit); err != nil {
		return control.ObeyAnswer{}, err
	}
	s.profile.Store(obeyed.Profile)
	s.log.Info("profile changed", "file", request.File, "changes", len(answer.Changes), "conflicts", len(answer.Conflicts))
	return answer, nil
}
