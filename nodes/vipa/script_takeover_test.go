package vipa_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// owners is a model of the ownership epochs that the plex shares: the latest of each DVIPA.
type owners map[netip.Addr]claim

type claim struct {
	epoch uint64
	owner contract.Member
}

// acquire takes the next epoch above after, unless another stack has one above it.
func (o owners) acquire(dvipa netip.Addr, after uint64, who contract.Member) (claim, bool) {
	if latest := o[dvipa]; latest.epoch > after {
		return latest, false
	}
	o[dvipa] = claim{after + 1, who}
	return o[dvipa], true
}

var (
	causes = map[string]vipa.Cause{
		"ended": vipa.Ended, "left": vipa.Left, "frozen": vipa.Frozen, "silent": vipa.Silent, "cut-off": vipa.CutOff, "parted": vipa.Parted,
	}
	varyCommands = map[string]vipa.VaryCommand{
		"quiesce": vipa.VaryQuiesce, "resume": vipa.VaryResume,
		"deactivate": vipa.VaryDeactivate, "reactivate": vipa.VaryReactivate,
		"leavegroup": vipa.VaryLeaveGroup, "joingroup": vipa.VaryJoinGroup,
	}
)

// takeover carries out the commands that concern the ownership of DVIPAs.
func (s *script) takeover(c *command) (string, bool) {
	switch c.d.Cmd {
	case "owners":
		s.asked = c.word(0) == "asked"
		return "", true
	case "take":
		var dvipas []netip.Addr
		for _, word := range c.words()[1:] {
			dvipas = append(dvipas, c.address(word))
		}
		return s.take(c.word(0), dvipas...), true
	case "superseded":
		dvipa, owner := c.address(c.word(1)), s.members[c.word(2)]
		s.owners[dvipa] = claim{c.number("epoch", 0), owner}
		return s.step(c.word(0), vipa.OwnershipRefused{
			DVIPA: dvipa, Epoch: c.number("epoch", 0), Owner: owner, Lives: !c.d.HasArg("dead"),
		}), true
	case "gathered":
		return s.step(c.word(0), vipa.Gathered{}), true
	case "gathering":
		return s.step(c.word(0), vipa.Gathering{}), true
	case "isolated":
		return s.step(c.word(0), vipa.Isolated{OthersSee: c.d.HasArg("others-see")}), true
	case "outside":
		return s.step(c.word(0), vipa.OutsideChanged{Up: c.word(1) == "up"}), true
	case "adjacency": // up, missed, lost
		return s.step(c.word(0), vipa.AdjacencyChanged{Up: c.word(1) == "up", HandOver: c.word(1) == "lost"}), true
	case "settle-expired":
		return s.step(c.word(0), vipa.SettleExpired{DVIPA: c.address(c.word(1))}), true
	case "vary":
		ev := vipa.Vary{
			ID: 1, Command: varyCommands[c.word(1)], Port: uint16(c.number("port", 0)), Application: c.value("application"),
		}
		if c.d.HasArg("dvipa") {
			ev.DVIPA = c.address(c.value("dvipa"))
		}
		return s.step(c.word(0), ev), true
	case "inside":
		if owner, leaves := s.stacks[c.word(0)].Addresses().Owners()[c.address(c.word(1))]; leaves {
			return fmt.Sprintf("leaves for %s\n", s.name(owner)), true
		}
		return "stays\n", true
	case "weights":
		ev := vipa.WeightsChanged{
			DVIPA: c.address(c.word(1)), Port: uint16(c.number("port", 0)), Weights: make(map[netip.Addr]uint32),
		}
		for _, words := range c.lines() {
			ev.Weights[c.address(words[0])] = uint32(c.parse(words[1]))
		}
		return s.step(c.word(0), ev), true
	}
	return "", false
}

// take answers what a stack has asked for, of the DVIPAs named or of all; standing by is answered
// only where it is named.
func (s *script) take(name string, dvipas ...netip.Addr) string {
	stack := s.stacks[name]
	var out strings.Builder
	var taken vipa.OwnershipTaken
	var refused []vipa.OwnershipRefused
	for _, dvipa := range sortedByAddress(stack.takes) {
		asked := stack.takes[dvipa]
		if named := slices.Contains(dvipas, dvipa); !named && (asked.Standby || len(dvipas) > 0) {
			continue
		}
		delete(stack.takes, dvipa)
		latest, ok := s.owners.acquire(dvipa, asked.After, s.members[name])
		if ok {
			taken.Taken = append(taken.Taken, vipa.Ownership{DVIPA: dvipa, Epoch: latest.epoch, Waited: asked.Wait})
			continue
		}
		_, lives := s.stacks[latest.owner.Stack]
		refused = append(refused, vipa.OwnershipRefused{DVIPA: dvipa, Epoch: latest.epoch, Owner: latest.owner, Lives: lives})
	}
	for _, ev := range refused {
		out.WriteString(s.step(name, ev))
	}
	if len(taken.Taken) > 0 {
		out.WriteString(s.step(name, taken))
	}
	return out.String()
}
