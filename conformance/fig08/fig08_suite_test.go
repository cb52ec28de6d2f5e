// Package fig08 certifies Figure 8: the distributing processor receives a connection request.
package fig08

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure8(t *testing.T) { trial.Suite(t, "fig08", impl.Core) }

// enumerated distributes port 80 and ports 8000 to 8009 of DVA1.
const enumerated = `
	VIPADynamic
	VIPADEFine MASK DVA1
	VIPADISTribute DVA1 PORT 80, 8000-8009 DESTIP XCF2, XCF3, XCF4
	ENDVIPADynamic`
