package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// maxObeyed bounds the body of POST /v1/obey in bytes.
const maxObeyed = 4 << 20

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
	if err := s.portConflicts(obeyed, def, &answer); err != nil || request.DryRun {
		return answer, err
	}
	if err := s.loop.do(vipa.ProfileChanged{Definition: def}, viewLimit); err != nil {
		return control.ObeyAnswer{}, err
	}
	s.profile.Store(obeyed.Profile)
	s.log.Info("profile changed", "file", request.File, "changes", len(answer.Changes), "conflicts", len(answer.Conflicts))
	return answer, nil
}

// portConflicts adds the ports that are to be unique and that several stacks use already, where a
// DVIPA gets CLUSTERPORTS: marking gives each to one of them (T21).
func (s *stack) portConflicts(obeyed *profile.Obeyed, def vipa.Definition, answer *control.ObeyAnswer) error {
	var names map[netip.Addr]string
	if err := s.loop.look(viewLimit, func() { names = stackNames(s.self, s.loop.core.Members()) }); err != nil {
		return err
	}
	addresses, see := s.addresses.Load(), sight{s.monitor, s.path}
	for _, dvipa := range def.ClusterPorts() {
		if addresses.ClusterPorts(dvipa) || !addresses.Active(dvipa) {
			continue
		}
		users, err := see.users(dvipa, s.self.XCF)
		if err != nil {
			return err
		}
		for _, port := range slices.Sorted(maps.Keys(users)) {
			if len(users[port]) < 2 || def.Use(netip.AddrPortFrom(dvipa, port)) != vipa.Unique {
				continue
			}
			effect := control.ObeyEffect{Text: fmt.Sprintf("%s: port %d would be a unique one, and is in use by %s",
				dvipa, port, strings.Join(named(users[port], names), " and "))}
			if statement, ok := obeyed.About(dvipa.String()); ok {
				effect.Statement = statement.String()
			}
			answer.Conflicts = append(answer.Conflicts, effect)
		}
	}
	return nil
}

// named are the names of stacks, in order.
func named(stacks []netip.Addr, names map[netip.Addr]string) []string {
	var all []string
	for _, xcf := range stacks {
		all = append(all, cmp.Or(names[xcf], xcf.String()))
	}
	slices.Sort(all)
	return all
}
