package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// browserLimit bounds everything that a test does with the browser, revealLimit how long a link takes.
const (
	browserLimit = 3 * time.Minute
	revealLimit  = 30 * time.Second
)

// A visit is a page open in a browser of its own, and what it complained about or asked for.
type visit struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// open opens the page of the run in dir. Where there is no browser the test is skipped.
func open(t *testing.T, dir string, before ...chromedp.Action[chromedp.Void]) *visit {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium to open the page with; make setup installs it")
	}
	must(t, Write(dir, Options{}))
	limited, cancel := context.WithTimeout(t.Context(), browserLimit)
	t.Cleanup(cancel)
	// The sandbox is not to be had as root; the page is our own.
	ctx, cancel := chromedp.NewContext(limited, chromedp.WithAllocatorOptions(chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WSURLReadTimeout(browserLimit)))
	t.Cleanup(cancel)
	v := &visit{t: t, ctx: ctx}
	must(t, chromedp.Listen(ctx, v.heard))
	must(t, chromedp.Do(ctx, before...))
	must(t, chromedp.Do(ctx, chromedp.Navigate("file://"+filepath.Join(dir, report.PageFile))))
	return v
}

func (v *visit) heard(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		v.complaints = append(v.complaints, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		v.complaints = append(v.complaints, fmt.Sprint(e.Type))
	case *runtime.EventExceptionThrown:
		v.complaints = append(v.complaints, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		v.requests = append(v.requests, e.Request.URL)
	}
}

// silent checks that nothing was complained about, and nothing asked for but the page itself.
func (v *visit) silent() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.complaints) > 0 {
		v.t.Errorf("the console says: %q", v.complaints)
	}
	for i, request := range v.requests {
		if i > 0 && !strings.HasPrefix(request, "data:") || i == 0 && !strings.HasPrefix(request, "file://") {
			v.t.Errorf("the page asked for %s", request)
		}
	}
	if len(v.requests) == 0 {
		v.t.Error("not even the page was asked for: requests are not seen")
	}
}

func eval[T any](v *visit, script string) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		v.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// scheme lets the browser prefer light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// cut are the texts of drawings that begin before or end after the drawing that they are in.
const cut = `[...document.querySelectorAll("main svg text")].filter((e) => {
	const text = e.getBoundingClientRect(), drawing = e.closest("svg").getBoundingClientRect();
	return text.width === 0 || text.left < drawing.left || text.right > drawing.right;
}).map((e) => e.textContent)`

func TestInABrowserTextsOfDrawingsAreWhole(t *testing.T) {
	dir := write(t, small())
	record, judgements := many(2)
	last := judgements[1]
	last.Role, last.On, last.Seen, last.LimitNS = capture.Expected, "MVS3/xcf0", -1, int64(2500*time.Millisecond)
	keep(t, dir, "reaches", record, append(judgements, last)...)
	v := open(t, dir)
	eval[bool](v, `(document.getElementById("open").click(), true)`)
	if texts := eval[[]string](v, cut); len(texts) > 0 {
		t.Errorf("cut off, or not shown: %q", texts)
	}
	v.silent()
}

// lowest is the lowest contrast of a text against its ground (WCAG 2, contrast ratio).
const lowest = `(() => {
	const channels = (text) => text.match(/[\d.]+/g).map(Number);
	const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => { for (; e; e = e.parentElement) {
		const colour = channels(getComputedStyle(e).backgroundColor);
		if (colour.length === 3 || colour[3] > 0) return colour;
	} return [255, 255, 255]; };
	let least = 21;
	for (const e of document.querySelectorAll("main *:not(svg):not(svg *)")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(channels(getComputedStyle(e).color)), light(ground(e))];
		least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
	}
	return least;
})()`

func TestInABrowserLightAndDark(t *testing.T) {
	dir := write(t, small())
	grounds := map[string]string{}
	for _, name := range []string{"light", "dark"} {
		v := open(t, dir, scheme(name))
		grounds[name] = eval[string](v, `getComputedStyle(document.documentElement).backgroundColor`)
		if contrast := eval[float64](v, lowest); contrast < 4.5 {
			t.Errorf("%s: a text has a contrast of %.2f, want 4.5 at least", name, contrast)
		}
		v.silent()
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("both schemes have the ground %s", grounds["light"])
	}
}

func TestInABrowserAtPhoneWidth(t *testing.T) {
	const width = 360
	r := small()
	r.Specs[1].Name += strings.Repeat(", though its name takes many lines here", 3)
	v := open(t, write(t, r), chromedp.EmulateViewport(width, 740))
	eval[bool](v, `(document.getElementById("open").click(), true)`)
	if got := eval[int](v, `document.documentElement.scrollWidth`); got > width {
		t.Errorf("the page is %d wide on a screen of %d", got, width)
	}
	over := eval[[]string](v, `[...document.querySelectorAll("main *")].filter((e) => !e.closest(".scroll, pre, svg") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))`)
	if len(over) > 0 {
		t.Errorf("beyond the edge: %q", over)
	}
	// A link leads to the whole of a summary, however many lines it takes.
	for _, id := range []string{"spec-2", "spec-3", "req-fig12-140"} {
		const top = `Math.round(document.getElementById(%q).closest("details").getBoundingClientRect().top)`
		eval[bool](v, fmt.Sprintf(`(document.documentElement.style.scrollBehavior = "auto", document.querySelector('li a[href="#%s"]').click(), true)`, id))
		if got := eval[int](v, fmt.Sprintf(top, id)); got < 0 || got > 40 {
			t.Errorf("after a link to %s the top of its summary is at %d pixels", id, got)
		}
	}
	v.silent()
}

func TestInABrowserByKeyboard(t *testing.T) {
	v := open(t, write(t, small()))
	const where = `(() => {
		const e = document.activeElement;
		if (e.matches(":focus-visible") && getComputedStyle(e).outlineStyle === "none") return "without a sign of focus: " + e.outerHTML.slice(0, 80);
		if (e.tagName === "SUMMARY") return "summary " + [...document.querySelectorAll("summary")].indexOf(e);
		return e === document.body ? "" : e.tagName + " " + (e.getAttribute("href") || e.id);
	})()`
	var order []string
	disclosures := map[string]bool{}
	stops := eval[int](v, `document.querySelectorAll("a, summary, input, button, [tabindex]").length`)
	for range stops + 1 {
		must(t, chromedp.Do(v.ctx, chromedp.KeyEvent("\t")))
		at := eval[string](v, where)
		if at == "" {
			break
		}
		if strings.HasPrefix(at, "without") {
			t.Error(at)
		}
		order = append(order, at)
		if strings.HasPrefix(at, "summary") {
			disclosures[at] = true
		}
	}
	if len(order) == 0 || order[0] != "A #main" {
		t.Errorf("the first stop must skip to the report, the stops are %q", order)
	}
	if want := eval[int](v, `document.querySelectorAll("summary").length`); len(disclosures) != want {
		t.Errorf("%d of %d disclosures were reached: %q", len(disclosures), want, order)
	}
	const toggled = `(() => { const s = document.querySelector("details:not([open]) > summary"); s.focus(); window.last = s.parentElement; return true; })()`
	eval[bool](v, toggled)
	must(t, chromedp.Do(v.ctx, chromedp.KeyEvent("\r")))
	if !eval[bool](v, `last.open`) {
		t.Error("the return key does not open a disclosure")
	}
	v.silent()
}

func TestInABrowserTheFilter(t *testing.T) {
	v := open(t, write(t, small()))
	const shown = `[...document.querySelectorAll(".item:not([hidden])")].length`
	all := eval[int](v, shown)
	must(t, chromedp.Do(v.ctx, chromedp.Func(func(context.Context, *chromedp.Target) error {
		eval[bool](v, `(document.querySelector("input[value=fail]").click(), true)`)
		return nil
	})))
	if got, want := eval[int](v, shown), eval[int](v, `document.querySelectorAll(".item[data-verdict=fail]").length`); got != want || got == all {
		t.Errorf("of %d, %d are shown as failed, want %d", all, got, want)
	}
	eval[bool](v, `(document.getElementById("find").value = "fig12/142-no", document.getElementById("find").dispatchEvent(new Event("input", {bubbles: true})), true)`)
	if got := eval[string](v, `document.getElementById("found").textContent`); got != fmt.Sprintf("1 of %d", all) {
		t.Errorf("found %q", got)
	}
	// A link to what is hidden ends the filter, and opens what it leads to.
	eval[bool](v, `(location.hash = "req-T36", true)`)
	must(t, poll(v, shown+fmt.Sprintf(" === %d", all)))
	must(t, poll(v, `document.getElementById("req-T36").closest("details").open`))
	v.silent()
}

// poll waits until a script is true, for revealLimit at most.
func poll(v *visit, script string) error {
	_, err := chromedp.Run(v.ctx, chromedp.Poll[bool](script, chromedp.WithPollingTimeout(revealLimit)))
	return err
}

func TestInABrowserWithoutScript(t *testing.T) {
	v := open(t, write(t, small()), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	if !eval[bool](v, `document.getElementById("filter").hidden`) {
		t.Error("the filter is there, and cannot work")
	}
	if eval[int](v, `document.querySelectorAll(".item").length`) == 0 {
		t.Error("requirements are missing")
	}
	v.silent()
}

// TestInABrowserAsLargeAsAllSuites measures the time that the browser computes to open a page: the clock on the
// wall tells more about what else the machine does.
func TestInABrowserAsLargeAsAllSuites(t *testing.T) {
	const limit, largest = 2 * time.Second, 3_000_000 // bytes
	dir := large(t)
	v := open(t, dir, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, performance.Enable, performance.EnableParams{})
		return err
	}))
	metrics, err := chromedp.Call(v.ctx, performance.GetMetrics, cdp.Empty{})
	must(t, err)
	computed := time.Duration(0)
	for _, m := range metrics.Metrics {
		if m.Name == "ProcessTime" {
			computed = time.Duration(m.Value * float64(time.Second))
		}
	}
	loaded := eval[float64](v, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
	file, err := os.Stat(filepath.Join(dir, report.PageFile))
	must(t, err)
	t.Logf("%d bytes opened in %.0f ms, of which the browser computed %s", file.Size(), loaded, computed)
	if file.Size() > largest {
		t.Errorf("the page has %d bytes, want %d at most", file.Size(), largest)
	}
	if computed == 0 || computed > limit {
		t.Errorf("the browser computed %s, want %s at most", computed, limit)
	}
	v.silent()
}
