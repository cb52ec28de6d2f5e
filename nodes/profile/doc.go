// Package profile is the VIPADYNAMIC language: it parses the definition block that a
// system administrator writes for a stack, checks it and prints it back. Every
// implementation can share it, like the contract.
//
// # The language
//
// Capital letters are the shortest abbreviation of a keyword, so that VIPADEF, VIPADEFI and
// VIPADEFINE all mean VIPADEFine. Upper and lower case are the same. A semicolon starts a
// comment that goes to the end of its line. Statements run over as many lines as they like;
// one ends where the keyword of the next begins.
//
//	profile    = { "VIPADynamic" { statement } "ENDVIPADynamic" }
//	statement  = define | backup | distribute | range | sourceipa
//	define     = "VIPADEFine" [ "MOVEable" [ "IMMEDIATE" ] ] [ cluster ] netmask addresses
//	backup     = "VIPABackup" rank addresses
//	distribute = "VIPADISTribute" [ cluster ] address [ "PORT" [ ports ] ] [ cluster ]
//	             "DESTIP" ( "ALL" | targets ) [ "." ]
//	range      = "VIPARange" [ "MOVEable" [ "NONDISRUPTIVE" ] ] [ "DISTribute" ] [ cluster ]
//	             netmask address
//	sourceipa  = "SOURCEIPA" address application
//	cluster    = "CLUSTERPORTS" | "SYSPLEXPORTS"
//	addresses  = address { [ "," ] address }
//	ports      = port [ "-" port ] { [ "," ] port [ "-" port ] }
//	targets    = address [ "WEIGHT" weight ] { [ "," ] address [ "WEIGHT" weight ] }
//
// The options between a keyword and its first operand come in any order, each once. A netmask
// is 255.255.255.0, /24 or 24; for IPv6 /64 or 64. A rank is 1 to 254, a port 1 to 65535, a
// weight 1 to 99, an application 1 to 8 letters, digits, @, # or $ that do not begin with a
// digit. An address is written as such or is the name of a symbol.
//
// The last character of an application may be a *: the statement is then for every application
// that begins so, * alone for all. Of several statements the most specific counts for an
// application: its own name before any beginning, a longer beginning before a shorter one; for connections
// of IPv4 those with an address of IPv4, for IPv6 those with one of IPv6.
//
// # VARY OBEY
//
// A text that a stack obeys while it runs adds to what is in force. A statement replaces what
// statements of its kind say for the same address (VIPADEFine, VIPABackup, VIPADISTribute),
// for the same range (VIPARange) or for the same application as written and an address of the same family (SOURCEIPA). All else
// stays: nothing is deleted.
//
// # What is left out
//
// The addresses of a VIPADEFine are MOVEable IMMEDIATE and those of a VIPARange MOVEable
// NONDISRUPTIVE whether or not the words are there: the language has no other way to move
// them. PORT without ports means the same as no PORT: all ports (I5). A target without WEIGHT
// has weight 1.
//
// # What is ours
//
// WEIGHT, static weights for the "predefined selection pattern" of the specification (T30),
// modelled on the static weights of z/OS WEIGHTEDActive. The * of applications, modelled on the
// job names of z/OS SRCIP. The final period of VIPADISTribute is
// accepted, apart from the last word, because the specification prints one.
//
// # Why no parser generator
//
// A grammar library (participle) was tried. Where a statement's operand is wrong it reports the
// statement's own keyword as unexpected, and it stops at the first error. Here a person is
// told every error, each at the word in question.
package profile
