package portfile

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Claims of DVIPAs are symbolic links that point nowhere: their making is one atomic step that
// fails if the name is taken, and what they say is there with them.

// OwnersDirectory is where the claims of a plex are, a directory a DVIPA.
func OwnersDirectory(portFile string) string { return portFile + ".owners" }

// ClaimsDirectory is the name of the directory of a DVIPA.
func ClaimsDirectory(dvipa netip.Addr) string { return dvipa.Unmap().WithZone("").String() }

// Owner is who has made a claim, and the content of the link.
type Owner struct {
	Stack       string
	XCF         netip.Addr
	Incarnation uint64
}

func (o Owner) String() string { return fmt.Sprintf("%s %s %d", o.Stack, o.XCF, o.Incarnation) }

// ParseOwner reads the content of a claim.
func ParseOwner(text string) (Owner, error) {
	const part = "claim"
	fields := strings.Split(text, " ")
	if len(fields) != 3 {
		return Owner{}, malformed(part, "%q, want stack, XCF address and incarnation", text)
	}
	if len(fields[0]) > nameSize {
		return Owner{}, malformed(part, "%q, want a name of %d characters at most", fields[0], nameSize)
	}
	name := make([]byte, nameSize)
	copy(name, fields[0])
	if _, err := getName(part, name); err != nil {
		return Owner{}, err
	}
	xcf, err := netip.ParseAddr(fields[1])
	if err != nil || xcf.Zone() != "" || xcf.Is4In6() {
		return Owner{}, malformed(part, "%q, want an XCF address", fields[1])
	}
	incarnation, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil || incarnation == 0 {
		return Owner{}, malformed(part, "%q, want an incarnation", fields[2])
	}
	return Owner{Stack: fields[0], XCF: xcf, Incarnation: incarnation}, nil
}

// ClaimName is the name of the claim of an epoch.
func ClaimName(epoch uint64) string { return strconv.FormatUint(epoch, 10) }

// endedSuffix is that of the name of a mark.
const endedSuffix = ".ended"

// EndedName is the name of the mark that says that the owner of an epoch does not answer for the DVIPA
// any more, and will not again.
func EndedName(epoch uint64) string { return ClaimName(epoch) + endedSuffix }

// ParseClaimName reads the name of a claim or of its mark; false for any other.
func ParseClaimName(name string) (epoch uint64, ended, ok bool) {
	digits, ended := strings.CutSuffix(name, endedSuffix)
	epoch, err := strconv.ParseUint(digits, 10, 64)
	return epoch, ended, err == nil && epoch > 0 && ClaimName(epoch) == digits
}
