package requirements

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The edges of every flowchart, typed from the drawings' prose apart from the data.
var edgesOfFigure = map[int]string{
	5: `500-no->510 500-yes->502 502-no->508 502-no->514 502-yes->504 504->506 506->end
		508-no->514 508-yes->512 512-yes->514 512-no->510 510->end 514->end`,
	6: `600->602 602-no->end 602-yes->604 604-yes->608 604-no->606 608->610 606->612
		612-yes->610 612-no->end 610->end`,
	7:  `700-candidate->702 700-unique->706 700-other->704 702->end 706->end 704->end`,
	8:  `802-yes->804 802-no->806 806-no->808 806-yes->810 810->812 804->end 808->end 812->end`,
	10: `100->102 102->104 104->106 106->108 108-no->112 108-yes->110 112->106 110->106`,
	11: `120->122 122-no->end 122-yes->124 124-yes->126 124-no->132 126->128 128-no->131
		128-yes->130 130->131 131-no->132 131-yes->133 133->132 132-no->end 132-yes->135
		135-yes->end 135-no->134 134->end`,
	12: `140-yes->150 140-no->142 142-no->152 142-yes->143 143-yes->150 143-no->145
		145-no->152 145-yes->144 144->146 146->150 150->end 152->end`,
	13: `160-SRVSTAT->165 160-NEWCONN->164 160-TERMCONN->162 160-other->end 165-no->166
		165-yes->167 166->end 167->end 164->end 162->end`,
	14: `180-no->182 180-yes->184 182->end 184->186 186-no->end 186-yes->188 188->190
		190->192 192->194 194->end`,
	15: `200-no->210 200-yes->203 203-no->204 203-yes->205 204-no->206 204-yes->208
		205-none->206 205-selected->208 206->end 208->210 210-no->212 210-yes->216
		212-no->218 212-yes->214 214->end 216-no->218 216-yes->220 218->end 220-yes->224
		220-no->222 222-no->218 222-yes->226 226->224 224->228 228->end`,
}

var blocksOfFigure = map[int]string{
	5:  "500 502 504 506 508 510 512 514",
	6:  "600 602 604 606 608 610 612",
	7:  "700 702 704 706",
	8:  "802 804 806 808 810 812",
	10: "100 102 104 106 108 110 112",
	11: "120 122 124 126 128 130 131 132 133 134 135",
	12: "140 142 143 144 145 146 150 152",
	13: "160 162 164 165 166 167",
	14: "180 182 184 186 188 190 192 194",
	15: "200 203 204 205 206 208 210 212 214 216 218 220 222 224 226 228",
}

func TestFiguresHoldTheBlocksAndEdgesOfTheSpecification(t *testing.T) {
	if got := Figures(); !slices.Equal(got, []int{5, 6, 7, 8, 10, 11, 12, 13, 14, 15}) {
		t.Fatalf("figures %v", got)
	}
	for _, number := range Figures() {
		chart, _ := Figure(number)
		var blocks, edges []string
		for _, b := range chart.Blocks {
			blocks = append(blocks, b.From)
		}
		for _, e := range chart.Edges {
			edges = append(edges, strings.SplitN(e.ID, "/", 2)[1])
		}
		for want, got := range map[string][]string{
			blocksOfFigure[number]: blocks,
			edgesOfFigure[number]:  edges,
		} {
			if diff := cmp.Diff(sorted(strings.Fields(want)), sorted(got)); diff != "" {
				t.Errorf("figure %d, -want +got:\n%s", number, diff)
			}
		}
	}
}

func TestEveryEdgeIsDue(t *testing.T) {
	for _, number := range Figures() {
		chart, _ := Figure(number)
		for _, e := range chart.Edges {
			if e.Status != Now {
				t.Errorf("%s is %s", e.ID, e.Status)
			}
		}
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
