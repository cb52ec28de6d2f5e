package xcf

import "testing"

// TestOutboxTellsWhenAllIsSent: what was taken is sent only when the writer says so.
func TestOutboxTellsWhenAllIsSent(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	expect := func(when string, want bool) {
		t.Helper()
		select {
		case <-o.empty():
			if !want {
				t.Errorf("%s: all is sent", when)
			}
		default:
			if want {
				t.Errorf("%s: something is not sent", when)
			}
		}
	}
	expect("at first", true)
	o.put([]byte("a"))
	expect("with one that waits", false)
	first, _ := o.take()
	expect("with one that is taken", false)
	o.put([]byte("b"))
	o.sent(len(first))
	expect("with another one", false)
	second, _ := o.take()
	o.sent(len(second))
	expect("at last", true)
	o.sent(0)
	expect("after nothing", true)
}
