package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pipe is a connected pair of sockets.
func pipe(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, descriptor := range pair {
		file := os.NewFile(uintptr(descriptor), "socket")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// temporary is an open file with a text.
func temporary(t *testing.T, text string) *os.File {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestMessagesInARow sends messages one behind the other, of all sizes, and checks that each
// one's files come with it and with no other.
func TestMessagesInARow(t *testing.T) {
	t.Parallel()
	a, b := pipe(t)
	messages := []struct {
		text  string
		files []string
	}{
		{"", nil}, {"short", []string{"one"}}, {"short", nil}, {strings.Repeat("long", 1<<20), []string{"two", "three", "four"}},
		{"next", []string{"five"}}, {"last", nil},
	}
	var opened [][]*os.File
	for _, m := range messages {
		var files []*os.File
		for _, text := range m.files {
			files = append(files, temporary(t, text))
		}
		opened = append(opened, files)
	}
	sent := make(chan error, 1)
	go func() {
		for i, m := range messages {
			if err := Send(a, m.text, opened[i]...); err != nil {
				sent <- err
				return
			}
		}
		sent <- a.CloseWrite()
	}()
	for i, m := range messages {
		var text string
		files, err := Receive(b, &text)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if text != m.text {
			t.Errorf("message %d: %d bytes, want %d", i, len(text), len(m.text))
		}
		var contents []string
		for _, file := range files {
			content, err := io.ReadAll(io.NewSectionReader(file, 0, 100))
			if err != nil {
				t.Fatal(err)
			}
			contents = append(contents, string(content))
			flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("message %d: a file would be inherited by programs: flags %x, %v", i, flags, err)
			}
		}
		CloseAll(files)
		if diff := cmp.Diff(m.files, contents); diff != "" {
			t.Errorf("message %d: files, want (-) got (+):\n%s", i, diff)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := Receive(b, new(string)); !errors.Is(err, io.EOF) {
		t.Errorf("after the last one: %v, want the end", err)
	}
}

// TestBlockingModeTravels checks that sending a file leaves its mode alone, for both sides.
func TestBlockingModeTravels(t *testing.T) {
	t.Parallel()
	a, b := pipe(t)
	descriptor, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(descriptor), "socket")
	defer file.Close()
	if err := Send(a, "", file); err != nil {
		t.Fatal(err)
	}
	files, err := Receive(b, new(string))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	defer CloseAll(files)
	if nonblocking, err := unix.FcntlInt(uintptr(descriptor), unix.F_GETFL, 0); err != nil || nonblocking&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %x, %v: the file blocks now", nonblocking, err)
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	header := func(length uint32, body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), body...)
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"too long", header(maxMessage+1, ""), "is longer than"},
		{"cut in the header", []byte{0, 0}, "unexpected EOF"},
		{"cut in the body", header(10, "{"), "unexpected EOF"},
		{"no JSON", header(3, "{{{"), "decode message"},
		{"another type", header(3, `"x"`), "decode message"},
	} {
		a, b := pipe(t)
		if _, err := a.Write(c.bytes); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if _, err := Receive(b, new(Request)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSendToNobody(t *testing.T) {
	t.Parallel()
	a, b := pipe(t)
	b.Close()
	if err := Send(a, "x"); !errors.Is(err, unix.EPIPE) {
		t.Errorf("got %v, want EPIPE", err)
	}
	closed := temporary(t, "")
	closed.Close()
	if err := Send(a, "x", closed); err == nil || !strings.Contains(err.Error(), "send file "+closed.Name()) {
		t.Errorf("a closed file: got %v", err)
	}
}

func TestErrorsKeepTheirErrno(t *testing.T) {
	t.Parallel()
	packed := NewError(&os.PathError{Op: "open", Path: "/x", Err: unix.EMFILE})
	if packed.Error() != "open /x: too many open files" || !errors.Is(packed, unix.EMFILE) || errors.Is(packed, unix.EPERM) {
		t.Errorf("%+v", packed)
	}
	if plain := NewError(io.EOF); plain.Error() != "EOF" || plain.Unwrap() != nil {
		t.Errorf("%+v", plain)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PLEX1", "a.b-c_d@e#f$1", strings.Repeat("x", 48)} {
		uid, lab, ok := ParseAbstractName(AbstractName(1000, name))
		if uid != 1000 || lab != name || !ok {
			t.Errorf("%s: came back as %d, %q, %t", name, uid, lab, ok)
		}
	}
	for _, name := range []string{"", "a/b", "a b", "é", strings.Repeat("x", 49)} {
		if CheckLabName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	for _, name := range []string{"@other/1/x", "@plexlab/1", "@plexlab//x", "@plexlab/01/x", "@plexlab/1x/x", "@plexlab/1/", "@plexlab/1/a/b"} {
		if uid, lab, ok := ParseAbstractName(name); ok {
			t.Errorf("%s: read as %d, %q", name, uid, lab)
		}
	}
}

func TestExitedInWords(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, e := range []Exited{{}, {Code: 3}, {Code: -1, Signal: unix.SIGKILL}} {
		got.WriteString(e.String() + "\n")
	}
	const want = "exit status 0\nexit status 3\nkilled by signal 9 (SIGKILL)\n"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}
