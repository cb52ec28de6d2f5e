package fig12

// allPorts distributes every port of DVA1 to the stack under test, MVS1, and to MVS2 to MVS4.
const allPorts = `
	VIPADynamic
	VIPADEFine MASK DVA1
	VIPADISTribute DVA1 DESTIP XCF1, XCF2, XCF3, XCF4
	ENDVIPADynamic`
