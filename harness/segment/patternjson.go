package segment

import (
	"encoding/json"
	"net/netip"
)

// patternJSON is a Pattern in a file. Address and port stand apart because either may be any.
type patternJSON struct {
	Src     netip.Addr `json:"src,omitzero"`
	SrcPort uint16     `json:"src_port,omitempty"`
	Dst     netip.Addr `json:"dst,omitzero"`
	DstPort uint16     `json:"dst_port,omitempty"`
	// Has and Lacks are the bits of the TCP header.
	Has     Flags  `json:"has,omitempty"`
	Lacks   Flags  `json:"lacks,omitempty"`
	Payload []byte `json:"payload,omitempty"`
}

// MarshalJSON writes what the pattern leaves open as absent.
func (p Pattern) MarshalJSON() ([]byte, error) {
	return json.Marshal(patternJSON{
		Src: p.Src.Addr(), SrcPort: p.Src.Port(), Dst: p.Dst.Addr(), DstPort: p.Dst.Port(),
		Has: p.Has, Lacks: p.Lacks, Payload: p.Payload,
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Pattern) UnmarshalJSON(text []byte) error {
	var j patternJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*p = Pattern{
		Src: netip.AddrPortFrom(j.Src, j.SrcPort), Dst: netip.AddrPortFrom(j.Dst, j.DstPort),
		Has: j.Has, Lacks: j.Lacks, Payload: j.Payload,
	}
	return nil
}
