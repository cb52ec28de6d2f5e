package certificate

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// issued is a certificate in a directory, its certifier's key, and the evidence of a spec.
type issued struct {
	*Certificate
	dir, spec string
	key       *Key
}

func newIssued(t *testing.T) *issued {
	t.Helper()
	s := newScenario(t, 1)
	s.write()
	k := key(t)
	c, err := Issue(s.dir, s.terms, k)
	must(t, err)
	return &issued{c, s.dir, filepath.Join(s.dir, "run-1", "evidence", "all", "first"), k}
}

// again signs what the directory holds now with the certifier's own key: whoever cheats may be the
// certifier.
func (i *issued) again(t *testing.T, change func(c *Certificate)) {
	t.Helper()
	files, err := listFiles(i.dir)
	must(t, err)
	c := *i.Certificate
	c.Evidence, c.Requirements, c.Tolerances = files, slices.Clone(c.Requirements), slices.Clone(c.Tolerances)
	change(&c)
	must(t, c.sign(i.dir, i.key))
}

// state signs the statement with a text in it replaced, with the certifier's own key.
func (i *issued) state(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.dir, EnvelopeFile))
	must(t, err)
	var envelope struct{ Payload []byte }
	must(t, json.Unmarshal(text, &envelope))
	if !strings.Contains(string(envelope.Payload), from) {
		t.Fatalf("the statement does not hold %q", from)
	}
	signer, err := dsse.NewEnvelopeSigner(i.key)
	must(t, err)
	signed, err := signer.SignPayload(t.Context(), payloadType, []byte(strings.Replace(string(envelope.Payload), from, to, 1)))
	must(t, err)
	text, err = encode(signed)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(i.dir, EnvelopeFile), text, 0o644))
}

// replace changes text in a file of the directory.
func (i *issued) replace(t *testing.T, name, from, to string) {
	t.Helper()
	path := filepath.Join(i.dir, name)
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s does not hold %q", name, from)
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644))
}

// signature is the text of the envelope's.
func (i *issued) signature(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.dir, EnvelopeFile))
	must(t, err)
	var envelope dsse.Envelope
	must(t, json.Unmarshal(text, &envelope))
	return envelope.Signatures[0].Sig
}

// rewrite writes the signature otherwise.
func (i *issued) rewrite(t *testing.T, otherwise func(string) string) {
	t.Helper()
	sig := i.signature(t)
	i.replace(t, EnvelopeFile, sig, otherwise(sig))
}

func TestVerifyRefuses(t *testing.T) {
	same := func(*Certificate) {}
	for _, test := range []struct {
		name   string
		want   Reason
		says   string
		change func(t *testing.T, i *issued)
	}{
		{"a byte of the packets", Changed, "packets.pcapng was changed", func(t *testing.T, i *issued) {
			path := filepath.Join(i.spec, evidence.PacketsFile)
			text, err := os.ReadFile(path)
			must(t, err)
			text[len(text)/2] ^= 1
			must(t, os.WriteFile(path, text, 0o644))
		}},
		{"a verdict in the suite's report", Changed, "run-1/suites/all.json", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/suites/all.json", `"does T4"`, `"does T5"`)
		}},
		{"the manifest", Changed, ManifestFile, func(t *testing.T, i *issued) { i.replace(t, ManifestFile, "theirs", "others") }},
		{"a file that is gone", Misplaced, "judgements.json is not there", func(t *testing.T, i *issued) {
			must(t, os.Remove(filepath.Join(i.spec, evidence.JudgementsFile)))
		}},
		{"a file that was added", Misplaced, "run-1/more was not signed", func(t *testing.T, i *issued) {
			must(t, os.WriteFile(filepath.Join(i.dir, "run-1", "more"), nil, 0o644))
		}},
		{"a link", Misplaced, "not a regular file", func(t *testing.T, i *issued) {
			must(t, os.Symlink("/etc/hostname", filepath.Join(i.dir, "run-1", "more")))
		}},
		{"a byte of the payload", BadSignature, "the signature does not fit", func(t *testing.T, i *issued) {
			i.replace(t, EnvelopeFile, `"payload": "ey`, `"payload": "fy`)
		}},
		{"a blank of the envelope", BadSignature, "not written as it was", func(t *testing.T, i *issued) {
			i.replace(t, EnvelopeFile, "\n  ", "\n   ")
		}},
		{"the bits that are left over in the signature", BadSignature, "not written as it was", func(t *testing.T, i *issued) {
			i.rewrite(t, func(sig string) string {
				const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
				last := len(sig) - len("==") - 1
				return sig[:last] + string(alphabet[strings.IndexByte(alphabet, sig[last])^1]) + "=="
			})
		}},
		{"the alphabet of the signature", BadSignature, "not written as it was", func(t *testing.T, i *issued) {
			// A signature without + and / is the same in both alphabets.
			for seed := range int64(64) {
				i.again(t, func(c *Certificate) { c.Seed = seed })
				if strings.ContainsAny(i.signature(t), "+/") {
					break
				}
			}
			i.rewrite(t, strings.NewReplacer("+", "-", "/", "_").Replace)
		}},
		{"a line end in the signature", BadSignature, "not written as it was", func(t *testing.T, i *issued) {
			i.rewrite(t, func(sig string) string { return sig[:10] + `\n` + sig[10:] })
		}},
		{"a second signature", BadSignature, "has 2 signatures", func(t *testing.T, i *issued) {
			text, err := os.ReadFile(filepath.Join(i.dir, EnvelopeFile))
			must(t, err)
			var envelope dsse.Envelope
			must(t, json.Unmarshal(text, &envelope))
			envelope.Signatures = append(envelope.Signatures, envelope.Signatures[0])
			text, err = encode(&envelope)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(i.dir, EnvelopeFile), text, 0o644))
		}},
		{"an envelope that is none", BadSignature, "read the envelope", func(t *testing.T, i *issued) {
			must(t, os.WriteFile(filepath.Join(i.dir, EnvelopeFile), []byte("{"), 0o644))
		}},
		{"an envelope without a signature", BadSignature, "no signature", func(t *testing.T, i *issued) {
			must(t, os.WriteFile(filepath.Join(i.dir, EnvelopeFile), []byte(`{"payloadType":"`+payloadType+`","payload":"e30="}`), 0o644))
		}},
		{"a payload of another type", BadSignature, "not an in-toto statement", func(t *testing.T, i *issued) {
			i.replace(t, EnvelopeFile, payloadType, "text/plain")
		}},
		{"a byte of the key", BadSignature, KeyFile, func(t *testing.T, i *issued) {
			i.replace(t, KeyFile, "\n-----END", " \n-----END")
		}},
		{"another key beside the certificate", WrongKey, "is signed with key", func(t *testing.T, i *issued) {
			public, err := key(t).public()
			must(t, err)
			must(t, os.WriteFile(filepath.Join(i.dir, KeyFile), public, 0o644))
		}},
		{"a requirement that is removed", Unpublished, "requirement T4 has no verdict", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) {
				c.Requirements = slices.DeleteFunc(c.Requirements, func(r Requirement) bool { return r.ID == "T4" })
			})
		}},
		{"a requirement without a verdict", Unpublished, "requirement T4 has no verdict", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) {
				c.Requirements[slices.IndexFunc(c.Requirements, func(r Requirement) bool { return r.ID == "T4" })].Verdict = ""
			})
		}},
		{"a requirement that nobody published", Unpublished, "requirement T99 is not published", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) {
				c.Requirements = append(c.Requirements, Requirement{ID: "T99", Verdict: verdict.Pass})
			})
		}},
		{"a timeout above its maximum", Loosened, "limit is 1m0s, and its published maximum is 10s", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/tolerances/all.json", `"limit": 3000000000`, `"limit": 60000000000`)
			i.again(t, same)
		}},
		{"a timeout raised without a word", Loosened, "does not declare a deviation", func(t *testing.T, i *issued) {
			for _, suite := range []string{"all", "ipv6"} {
				i.replace(t, "run-1/tolerances/"+suite+".json", `"limit": 3000000000`, `"limit": 5000000000`)
			}
			i.again(t, same)
		}},
		{"a watch cut short", Loosened, "quiet is 1ms, and its published minimum is 150ms", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/tolerances/all.json", `"quiet": 150000000`, `"quiet": 1000000`)
			i.again(t, same)
		}},
		{"a timeout that nobody tells", Loosened, "does not say what it gave of limit", func(t *testing.T, i *issued) {
			for _, suite := range []string{"all", "ipv6"} {
				must(t, report.WriteTolerances(filepath.Join(i.dir, "run-1"), suite, map[string]time.Duration{"quiet": 150 * time.Millisecond}))
			}
			i.again(t, same)
		}},
		{"a published maximum that is raised", Loosened, "tolerance limit is not published like this", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) { c.Tolerances[0].Bound = time.Hour })
		}},
		{"a verdict that nobody reached", Contradicted, "requirements is", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/suites/all.json", `"State": "passed"`, `"State": "failed"`)
			i.again(t, same)
		}},
		{"more than there was", Contradicted, "packets is", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) { c.Packets.Again = 1000 })
		}},
		{"a word that is no part of a certificate", Contradicted, "says what is no part of a certificate", func(t *testing.T, i *issued) {
			i.state(t, `"predicate":{`, `"predicate":{"note":"certified for everything",`)
		}},
		{"a verdict that is said twice", Contradicted, "says what is no part of a certificate", func(t *testing.T, i *issued) {
			i.state(t, `"predicate":{`, `"predicate":{"VERDICT":"CERTIFIED",`)
		}},
		{"another program", Contradicted, "its subjects are", func(t *testing.T, i *issued) {
			i.state(t, strings.Repeat("ab", 32), strings.Repeat("cd", 32))
		}},
		{"no packets of a spec that passed", Contradicted, "it passed and left no packets", func(t *testing.T, i *issued) {
			must(t, os.RemoveAll(i.spec))
			i.replace(t, "run-1/suites/all.json", `"Name": "evidence"`, `"Name": "silence"`)
			i.again(t, func(c *Certificate) { c.Packets.Specs, c.Packets.Again = 1, 1 })
		}},
		{"another page", Contradicted, "report.html is not what", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/report.html", "</h1>", "</h1><p>All is fine.</p>")
			i.again(t, same)
		}},
		{"another report", Contradicted, "report.json is not what", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/report.json", `"passed": `, `"passed": 1`)
			i.again(t, same)
		}},
		{"another report for machines", Contradicted, "junit.xml is not what", func(t *testing.T, i *issued) {
			i.replace(t, "run-1/junit.xml", `tests="`, `tests="1`)
			i.again(t, same)
		}},
		{"a report without the problems of its run", Contradicted, "report.json tells of 0 problems, and its run has 1", func(t *testing.T, i *issued) {
			must(t, os.Remove(filepath.Join(i.dir, "run-1", "suites", "ipv6.json")))
			_, err := Issue(i.dir, i.Terms, i.key)
			must(t, err)
		}},
		{"more specs with packets than there were", Contradicted, "packets is", func(t *testing.T, i *issued) {
			i.again(t, func(c *Certificate) { c.Packets.Derived = c.Packets.Passed })
		}},
		{"no judgement any more", Contradicted, `"derived":1}`, func(t *testing.T, i *issued) {
			must(t, evidence.WriteJudgements(i.spec, nil))
			i.again(t, func(c *Certificate) { c.Packets.Again-- })
		}},
		{"packets that say otherwise", Contradicted, "its packets say FAIL", func(t *testing.T, i *issued) {
			must(t, evidence.WriteJudgements(i.spec, []capture.Judgement{{Role: capture.Expected, Words: "any", Pattern: &segment.Pattern{}, Seen: -1}}))
			i.again(t, same)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssued(t)
			if _, err := Verify(i.dir, i.key); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			test.change(t, i)
			_, err := Verify(i.dir, nil)
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason != test.want || !strings.Contains(err.Error(), test.says) {
				t.Errorf("want %q that says %q, got %v", test.want.Name, test.says, err)
			}
		})
	}
}

func TestVerifyKnowsTheCertifier(t *testing.T) {
	i := newIssued(t)
	public, err := ReadKey(filepath.Join(i.dir, KeyFile))
	must(t, err)
	if _, err := Verify(i.dir, public); err != nil {
		t.Errorf("with the public key: %v", err)
	}
	var refusal *Refusal
	if _, err := Verify(i.dir, key(t)); !errors.As(err, &refusal) || refusal.Reason != WrongKey {
		t.Errorf("with another key: want %q, got %v", WrongKey.Name, err)
	}
	if _, err := Verify(t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without a certificate: %v", err)
	}
}

func TestALinkToACertificate(t *testing.T) {
	i := newIssued(t)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(i.dir, link))
	if _, err := Verify(link, i.key); err != nil {
		t.Error(err)
	}
}

// Evidence that this user may not read says nothing about the certificate.
func TestEvidenceThatCannotBeRead(t *testing.T) {
	i := newIssued(t)
	for place := filepath.Dir(i.dir); place != filepath.Clean(os.TempDir()); place = filepath.Dir(place) {
		must(t, os.Chmod(place, 0o755))
	}
	must(t, os.Chmod(i.spec, 0))
	t.Cleanup(func() { must(t, os.Chmod(i.spec, 0o755)) })
	if os.Geteuid() == 0 { // root reads everything, but not as somebody else
		const nobody = 65534
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, unix.Setfsuid(nobody))
		defer func() { must(t, unix.Setfsuid(0)) }()
	}
	var refusal *Refusal
	if _, err := Verify(i.dir, i.key); !errors.Is(err, fs.ErrPermission) || errors.As(err, &refusal) || !strings.HasPrefix(err.Error(), "read the evidence") {
		t.Errorf("want an error of the file system, got %v", err)
	}
}

func TestACertificateMayBeMoved(t *testing.T) {
	s := newScenario(t, 1)
	s.terms.Suites = append(s.terms.Suites, "fig13") // a problem that names files
	s.judgements[0].Role = capture.Expected
	c := s.issue()
	moved := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.Rename(s.dir, moved))
	verified, err := Verify(moved, nil)
	if err != nil || verified.Verdict != c.Verdict {
		t.Errorf("want %s, got %+v, %v", c.Verdict, verified, err)
	}
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "certifier.pem")
	first, made, err := SigningKey(path)
	must(t, err)
	again, madeAgain, err := SigningKey(path)
	must(t, err)
	if !made || madeAgain || first.ID() != again.ID() || len(first.ID()) != 64 {
		t.Errorf("made %t, then %t; keys %s and %s", made, madeAgain, first.ID(), again.ID())
	}
	if about, err := os.Stat(path); err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("mode of a new key: %v, %v", about.Mode(), err)
	}
	public, err := first.public()
	must(t, err)
	for name, text := range map[string]string{
		"is a public one": string(public),
		"read key":        "not a key",
		"is of type":      ecdsaKey,
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, _, err := SigningKey(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error that says %q, got %v", name, err)
		}
	}
}

// ecdsaKey signs nothing but this test's error.
const ecdsaKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqAIMRbCZIGxgQOKbyIIHD4RHjn1h
st1LSvMO+qKTItgmSG783IVpcXqfh+992elaNP7hOFVZeMyhwTCcbaajgg==
-----END PUBLIC KEY-----
`
