package profile

import "strings"

// A keyword is a word of the language with its shortest abbreviation in capitals, spelled as
// the specification does.
type keyword string

const (
	kwBlock        keyword = "VIPADynamic" // the specification also has VIPADYNamic
	kwEndBlock     keyword = "ENDVIPADynamic"
	kwDefine       keyword = "VIPADEFine"
	kwBackup       keyword = "VIPABackup"
	kwDistribute   keyword = "VIPADISTribute"
	kwRange        keyword = "VIPARange"
	kwSourceIPA    keyword = "SOURCEIPA"
	kwMoveable     keyword = "MOVEable"
	kwImmediate    keyword = "IMMEDIATE"
	kwNonDisrupt   keyword = "NONDISRUPTIVE"
	kwInRange      keyword = "DISTribute"
	kwClusterPorts keyword = "CLUSTERPORTS"
	kwSysplexPorts keyword = "SYSPLEXPORTS"
	kwPort         keyword = "PORT"
	kwDestIP       keyword = "DESTIP"
	kwAll          keyword = "ALL"
	kwWeight       keyword = "WEIGHT"
)

// leading are the keywords that begin a statement and so end the one before.
var leading = []keyword{kwBlock, kwEndBlock, kwDefine, kwBackup, kwDistribute, kwRange, kwSourceIPA}

// inner are the keywords within statements.
var inner = []keyword{
	kwMoveable, kwImmediate, kwNonDisrupt, kwInRange, kwClusterPorts, kwSysplexPorts, kwPort, kwDestIP, kwAll, kwWeight,
}

// matches reports whether word is the keyword or an abbreviation of it.
func (k keyword) matches(word string) bool {
	return len(word) >= len(k.shortest()) && len(word) <= len(k) && equalFold(word, string(k[:len(word)]))
}

// shortest is the part in capitals.
func (k keyword) shortest() string {
	if i := strings.IndexFunc(string(k), func(r rune) bool { return r >= 'a' && r <= 'z' }); i >= 0 {
		return string(k[:i])
	}
	return string(k)
}

// lookup returns the keyword of the list that word stands for, "" if none.
func lookup(list []keyword, word string) keyword {
	for _, k := range list {
		if k.matches(word) {
			return k
		}
	}
	return ""
}

// fold is the one form of a word that is compared. Only ASCII letters have case here: to
// Unicode, a dotless i would be an I and make a keyword of something that is none.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func equalFold(a, b string) bool { return fold(a) == fold(b) }
