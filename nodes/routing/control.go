package routing

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// RefusedError is what BIRD said instead of doing what it was asked.
type RefusedError struct {
	Command string
	// Words are BIRD's own; of a configuration: FILE:LINE:COLUMN and the mistake.
	Words string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("bird refused %q: %s", e.Command, e.Words) }

// refusals is where BIRD's reply codes of errors begin: 8 of execution, 9 of the command itself
// (nest/cli.c).
const refusals = 8000

// ask gives BIRD a command by its control socket and returns its words, a line each. The protocol is
// that of birdc: lines of text, each reply being lines with a code of four digits, "-" after it
// where more follow and " " in the last; a line that begins with " " belongs to the code before.
func ask(socket, command string, limit time.Duration) ([]string, error) {
	conn, err := net.DialTimeout("unix", socket, limit)
	if err != nil {
		return nil, fmt.Errorf("reach bird: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, fmt.Errorf("reach bird: %w", err)
	}
	replies := bufio.NewReader(conn)
	if _, _, err := reply(replies); err != nil { // 0001 BIRD 2.0.12 ready.
		return nil, fmt.Errorf("greeting of bird: %w", err)
	}
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return nil, fmt.Errorf("ask bird to %s: %w", command, err)
	}
	code, words, err := reply(replies)
	switch {
	case err != nil:
		return nil, fmt.Errorf("answer of bird to %s: %w", command, err)
	case code >= refusals:
		return nil, &RefusedError{Command: command, Words: words[len(words)-1]}
	}
	return words, nil
}

// reply reads one reply; the code is that of its last line.
func reply(from *bufio.Reader) (code int, words []string, err error) {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return 0, nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		if text, more := strings.CutPrefix(line, " "); more {
			words = append(words, text)
			continue
		}
		if len(line) < 5 {
			return 0, nil, fmt.Errorf("found %q, expected a reply code of four digits", line)
		}
		if code, err = strconv.Atoi(line[:4]); err != nil {
			return 0, nil, fmt.Errorf("found %q, expected a reply code of four digits", line)
		}
		words = append(words, line[5:])
		if line[4] == ' ' {
			return code, words, nil
		}
	}
}
