package verdict

import "testing"

func TestWorst(t *testing.T) {
	for _, test := range []struct {
		name     string
		verdicts []Verdict
		want     Verdict
	}{
		{"no spec at all", nil, Skip},
		{"all passed", []Verdict{Pass, Pass}, Pass},
		{"one skipped", []Verdict{Pass, Skip, Pass}, Skip},
		{"undeclared weighs more than skipped", []Verdict{Skip, Unimplemented}, Unimplemented},
		{"nothing proved weighs more than undeclared", []Verdict{Vacuous, Unimplemented}, Vacuous},
		{"a broken kit weighs more than nothing proved", []Verdict{EngineError, Vacuous}, EngineError},
		{"nothing takes a failure back", []Verdict{Pass, Fail, EngineError, Vacuous}, Fail},
		{"an unknown verdict is no pass", []Verdict{Pass, "MAYBE"}, "MAYBE"},
	} {
		if got := Worst(test.verdicts...); got != test.want {
			t.Errorf("%s: want %s, got %s", test.name, test.want, got)
		}
	}
	if Verdict("MAYBE").Severity() != EngineError.Severity() {
		t.Error("an unknown verdict: want the severity of ENGINE_ERROR")
	}
}
