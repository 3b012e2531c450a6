package actions

import (
	"strings"

	"github.com/kagimori/kagimori/internal/glob"
)

// Match reports whether a pattern of stars and question marks matches a name, without regard to case.
func Match(pattern, name string) bool {
	return glob.Match(strings.ToLower(pattern), strings.ToLower(name))
}

// MatchesAny reports whether a pattern of a policy matches an action. Of services that are not in the
// table nothing is known, so anything does.
func (t *Table) MatchesAny(pattern string) bool {
	prefix, name, ok := strings.Cut(pattern, ":")
	service, known := t.Service(prefix)
	if !ok || !known {
		return true
	}
	if !strings.ContainsAny(name, "*?") {
		_, known := service.Action(name)
		return known
	}
	for _, a := range service.Actions() {
		if Match(name, a.Name) {
			return true
		}
	}
	return false
}

// Meant is what a pattern that matches no action has to be to match one that it is like: it lacks a
// star at its end, or is misspelt. ok is false if it matches some action, or is too different.
func (t *Table) Meant(pattern, action string) (meant string, ok bool) {
	switch {
	case t.MatchesAny(pattern):
		return "", false
	case Match(pattern+"*", action):
		return pattern + "*", true
	case Distance(strings.ToLower(pattern), strings.ToLower(action), 3) < 3:
		return action, true
	}
	return "", false
}

// Distance is the number of characters to insert, delete or replace between a and b, or limit if
// it is at least that.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}
