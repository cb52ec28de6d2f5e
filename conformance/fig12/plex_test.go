package fig12

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/conformance/trial"
)

// service is what most specs distribute.
var service = at(80)

// at is a port of DVA1.
func at(port uint16) netip.AddrPort { return netip.AddrPortFrom(trial.DVA1, port) }

// allPorts distributes every port of DVA1 to the stack under test, MVS1, and to MVS2 to MVS4.
const allPorts = `
	VIPADynamic
	VIPADEFine 255.255.255.0 DVA1
	VIPADISTribute DVA1 DESTIP XCF1, XCF2, XCF3, XCF4
	ENDVIPADynamic`
