package control

import "net/netip"

// ObeyRequest is the body of POST /v1/obey: statements that are added to the definitions in
// force, or change them (VARY OBEY).
type ObeyRequest struct {
	// File is what errors call the text; it is not opened.
	File string `json:"file"`
	// Text is VIPADYNAMIC blocks in the profile language.
	Text string `json:"text"`
	// Symbols are names for addresses that the text may use; upper and lower case are the same.
	Symbols map[string]netip.Addr `json:"symbols,omitempty"`
	// DryRun asks what would change and what conflicts; nothing is changed.
	DryRun bool `json:"dry_run,omitempty"`
	// InUse is what other stacks answered to GET /v1/inuse, by which all conflicts over ports are found: of a
	// stack that is missing only what the tables of the answering one have.
	InUse []InUse `json:"in_use,omitempty"`
}

// InUse is GET /v1/inuse: the ports that sockets of the stack have, whether assigned cluster-wide or not.
type InUse struct {
	// XCF is the XCF address of the stack.
	XCF netip.Addr `json:"xcf"`
	// DVIPAs are those active on the stack, in order.
	DVIPAs []DVIPAInUse `json:"dvipas"`
}

// DVIPAInUse are the ports of one DVIPA.
type DVIPAInUse struct {
	DVIPA netip.Addr `json:"dvipa"`
	// Ports are those that any socket has, also one that is bound and nothing more, a half-open request or a
	// remnant; ascending.
	Ports []uint16 `json:"ports"`
	// Chosen are those among them that were not asked for by number (bind to port 0, connect without bind), as far as
	// the stack knows; ascending.
	Chosen []uint16 `json:"chosen"`
}

// ObeyAnswer says what changed, or with DryRun what would.
type ObeyAnswer struct {
	// Applied: the definitions are in force. False after a dry run.
	Applied bool `json:"applied"`
	// Changes in the plex, in the order of the statements; none where the text says nothing new.
	Changes []ObeyEffect `json:"changes"`
	// Conflicts are what the plex does already against the definitions, such as one port of two
	// stacks that is to be unique. They do not keep the definitions from being applied.
	Conflicts []ObeyEffect `json:"conflicts"`
}

// ObeyEffect is one consequence of one statement.
type ObeyEffect struct {
	// Statement is the statement in its canonical form, on one line.
	Statement string `json:"statement"`
	// Text is the consequence in words for a person, such as "192.168.44.10 becomes active".
	Text string `json:"text"`
}
