package speech

import "sync"

// An entry is a message in both languages. The terms are those of AWS's Japanese guides.
type entry struct{ en, ja string }

// catalogue has a part for each package that speaks.
var catalogue = [][]entry{plain, ofExplain, ofStatements, ofAdvice, ofLayers, ofDoctor, ofFixes, ofReport, ofSuite, ofIncident, ofLint, ofLintKeys, ofLintFixes, ofDiff, ofImpact, ofAnswers, ofCases, ofStored}

// plain are the formats that are no words.
var plain = []entry{{" ", ""}}

var index = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, part := range catalogue {
		for _, e := range part {
			m[e.en] = e.ja
		}
	}
	return m
})

func japanese(format string) (string, bool) {
	ja, ok := index()[format]
	return ja, ok
}
