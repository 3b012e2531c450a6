package speech

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// written is a sentence of ours that was written down in English.
type written string

// Written is a sentence that one of our readers wrote into a file or a name: why a fact of a scenario
// is not known, what was assumed. Files hold plain English; the sentence is recognized by the formats
// of the catalogue when somebody reads it in another language, and stays as it is if there is none.
func Written(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{format: "%s", args: []any{written(s)}}
}

// AllWritten is [Written] of each.
func AllWritten(list []string) []Text {
	var out []Text
	for _, s := range list {
		out = append(out, Written(s))
	}
	return out
}

// in is the sentence in a language.
func (w written) in(l Language) string {
	if l != Japanese {
		return string(w)
	}
	return recognize(string(w), 0)
}

// A shape recognizes what a format makes.
type shape struct {
	entry
	re     *regexp.Regexp
	words  int    // characters that are not arguments
	reason []bool // by argument: it is a reason, of which there may be several
}

// shapes are those of the sentences that are written down, the most telling first.
var shapes = sync.OnceValue(func() []shape {
	var out []shape
	for _, part := range [][]entry{ofReaders, ofTemplates, ofLive, ofFacts, ofStates, ofStatements, ofAdvice, ofNotes, ofJoined, ofStored, ofDepends, granted} {
		for _, e := range part {
			sh := shape{entry: e, words: len(e.en) - 2*strings.Count(e.en, "%s")}
			pieces := strings.Split(e.en, "%s")
			for i, piece := range pieces {
				pieces[i] = regexp.QuoteMeta(piece)
				sh.reason = append(sh.reason, strings.HasSuffix(piece, ": ") || e.en == "%s; %s")
			}
			sh.re = regexp.MustCompile("^" + strings.Join(pieces, "(.+?)") + "$")
			out = append(out, sh)
		}
	}
	slices.SortStableFunc(out, func(a, b shape) int { return cmp.Compare(b.words, a.words) })
	return out
})

// plausible reports whether these can be the arguments: several reasons stand only where one can.
func (s *shape) plausible(args []string) bool {
	for i, a := range args {
		if !s.reason[i] && strings.Contains(a, "; ") {
			return false
		}
	}
	return true
}

// maxNested bounds sentences in sentences.
const maxNested = 8

// recognize says a sentence in Japanese, and those that are in it.
func recognize(s string, depth int) string {
	if depth > maxNested {
		return s
	}
	for _, sh := range shapes() {
		m := sh.re.FindStringSubmatch(s)
		if m == nil || !sh.plausible(m[1:]) {
			continue
		}
		args := make([]any, len(m)-1)
		for i, a := range m[1:] {
			args[i] = recognize(a, depth+1)
		}
		return fmt.Sprintf(sh.ja, args...)
	}
	// In the middle of another sentence it lost its capital; see [Text.Inside].
	if depth > 0 && depth < maxNested && s != "" && 'a' <= s[0] && s[0] <= 'z' {
		if whole := string(s[0]-0x20) + s[1:]; strings.Contains(s, " ") {
			if ja := recognize(whole, maxNested); ja != whole {
				return recognize(whole, depth+1)
			}
		}
	}
	return s
}

// granted is a change that two packages tell of.
var granted = []entry{{"Create a grant on %s for %s.", "%[2]s へのグラントを %[1]s に作成します。"}}

// WrittenFormats are the English formats of what is written down, with their translations.
func WrittenFormats() map[string]string {
	out := map[string]string{}
	for _, sh := range shapes() {
		out[sh.en] = sh.ja
	}
	return out
}
