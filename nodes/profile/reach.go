package profile

import (
	"fmt"
	"net/netip"
)

// Reach says where the network finds addresses of a stack. Without a routing protocol a stack can answer for
// addresses of its own outside subnets only.
type Reach struct {
	Stack string
	// Outside are the subnets of its outside links; none for an inside stack.
	Outside []netip.Prefix
	// Advertised: a routing protocol tells the network of DVIPAs anywhere.
	Advertised bool
}

// DVIPA says what is wrong with the place of a DVIPA, "" if nobody who looks for it there would miss it.
func (r Reach) DVIPA(a netip.Addr) string {
	return r.missed(fmt.Sprintf("the DVIPA %s", a), func(s netip.Prefix) bool { return s.Contains(a) })
}

// Range says the same of a VIPARange, which has to lie in one subnet.
func (r Reach) Range(of netip.Prefix) string {
	return r.missed(fmt.Sprintf("the range %s", of), func(s netip.Prefix) bool { return s.Overlaps(of) && s.Bits() <= of.Bits() })
}

func (r Reach) missed(what string, in func(netip.Prefix) bool) string {
	if r.Advertised {
		return ""
	}
	for _, subnet := range r.Outside {
		if in(subnet) {
			return ""
		}
	}
	const lifted = "a routing protocol (advertising) lifts that"
	switch len(r.Outside) {
	case 0:
		return fmt.Sprintf("found %s, expected none: %s has no link to an outside network", what, r.Stack)
	case 1:
		return fmt.Sprintf("found %s, expected one in %s, the outside subnet of %s; %s", what, r.Outside[0], r.Stack, lifted)
	}
	return fmt.Sprintf("found %s, expected one in an outside subnet of %s: %v; %s", what, r.Stack, r.Outside, lifted)
}

// Unreachable refuses statements of the text that would put DVIPAs where nobody finds them: nil, or Errors, one for each
// place. What was in force before is left alone.
func (o *Obeyed) Unreachable(reach Reach) error {
	var refused Errors
	refuse := func(statement keyword, at Position, problem string) {
		if problem != "" {
			refused = append(refused, &Error{Pos: at, Message: fmt.Sprintf("%s: %s", statement, problem)})
		}
	}
	for _, change := range o.Changes {
		switch s := change.Statement.(type) {
		case Define:
			for _, a := range s.Addresses {
				refuse(kwDefine, a.Pos, reach.DVIPA(a.Addr))
			}
		case Backup:
			for _, a := range s.Addresses {
				refuse(kwBackup, a.Pos, reach.DVIPA(a.Addr))
			}
		case Range:
			refuse(kwRange, s.Address.Pos, reach.Range(s.Prefix()))
		}
	}
	return refused.Err()
}
