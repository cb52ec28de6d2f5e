package sockets

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What launcher and broker say to each other, one message each over a SOCK_SEQPACKET Unix
// socket: the launcher the magic and the application's name, with the notification
// descriptor beside them (SCM_RIGHTS); the broker either answerOK or a line of error.
const (
	helloMagic = "sockets/1 "
	answerOK   = "ok"

	// helloDeadline is how long either side waits for the other's message.
	helloDeadline = 10 * time.Second
	// maxMessage is the longest of these messages in bytes.
	maxMessage = 1024
)

// MaxApplicationName is the longest name of an application in bytes.
const MaxApplicationName = 64

// checkApplication reports what is wrong with a name; an empty one is an application
// without a name.
func checkApplication(name string) error {
	switch {
	case len(name) > MaxApplicationName:
		return fmt.Errorf("application name %q has %d bytes, at most %d are possible", name, len(name), MaxApplicationName)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("application name %q: only printable ASCII without blanks is possible", name)
	}
	return nil
}

// maxPath is the longest path of a Unix socket in bytes (struct sockaddr_un).
const maxPath = 107

func checkPath(path string) error {
	if len(path) == 0 || len(path) > maxPath {
		return fmt.Errorf("path %q of the broker's socket has %d bytes, 1 to %d are possible: %w", path, len(path), maxPath, unix.EINVAL)
	}
	return nil
}

func hello(application string) []byte { return []byte(helloMagic + application) }

func parseHello(b []byte) (application string, err error) {
	name, found := bytes.CutPrefix(b, []byte(helloMagic))
	if !found {
		return "", errors.New("not a launcher of this version")
	}
	return string(name), checkApplication(string(name))
}
