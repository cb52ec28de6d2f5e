package profile

import (
	"fmt"
	"strings"
	"unicode"
)

// A token is a word or a comma; the last one of a text is empty and stands at its end.
type token struct {
	pos  Position
	text string
}

const comma = ","

// describe is the token as an error message shows it.
func (t token) describe() string {
	if t.text == "" {
		return "the end of the profile"
	}
	return quote(t.text)
}

// maxShown is how much of a word an error message repeats, in characters.
const maxShown = 40

// quote makes any word fit to be printed on one line.
func quote(word string) string {
	if r := []rune(word); len(r) > maxShown {
		return fmt.Sprintf("%q...", string(r[:maxShown]))
	}
	return fmt.Sprintf("%q", word)
}

// scan cuts the text into words. It cannot fail: whatever is not blank, comma or comment is
// part of a word, and the parser says where a word does not fit.
func scan(file, text string) []token {
	var tokens []token
	line, column, start := 1, 1, -1
	var at Position
	comment := false
	end := func(i int) {
		if start >= 0 {
			tokens = append(tokens, token{at, text[start:i]})
			start = -1
		}
	}
	for i, r := range text {
		switch {
		case r == '\n':
			end(i)
			comment = false
			line, column = line+1, 0
		case comment:
		case r == ';':
			end(i)
			comment = true
		case r == ',':
			end(i)
			tokens = append(tokens, token{Position{file, line, column}, comma})
		case unicode.IsSpace(r):
			end(i)
		case start < 0:
			start, at = i, Position{file, line, column}
		}
		column++
	}
	end(len(text))
	return append(tokens, token{pos: Position{file, line, column}})
}

// orList is "a", "a or b", "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
