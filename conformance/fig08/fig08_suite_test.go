// Package fig08 certifies Figure 8: the distributing processor receives a connection request.
package fig08

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
)

func TestFigure8(t *testing.T) { trial.Suite(t, "fig08") }

// service is the distributed service of most specs.
var service = at(80)

// at is a port of DVA1.
func at(port uint16) netip.AddrPort { return netip.AddrPortFrom(trial.DVA1, port) }

// enumerated distributes port 80 and ports 8000 to 8009 of DVA1.
const enumerated = `
	VIPADynamic
	VIPADEFine 255.255.255.0 DVA1
	VIPADISTribute DVA1 PORT 80, 8000-8009 DESTIP XCF2, XCF3, XCF4
	ENDVIPADynamic`
