// Package explain renders decisions as text and finds the smallest change that allows a request.
package explain

import "github.com/kagimori/kagimori/internal/authz"

// A Fix is one change that would allow a denied request.
type Fix struct {
	Kind     string `json:"kind"`               // "key-policy", "identity-policy", "grant", ...
	Summary  string `json:"summary"`            // one sentence
	Document string `json:"document,omitempty"` // JSON statement to add
	Command  string `json:"command,omitempty"`  // aws command line
	Owner    string `json:"owner,omitempty"`    // account that can make the change
}

// Message is AWS's text for a refusal.
func Message(d authz.Decision, p *authz.Principal) string { return "" }

// Fixes are the smallest changes that would allow the request, best first.
func Fixes(req *authz.Request, d authz.Decision) []Fix { return nil }
