// Package lint finds in one policy document what AWS accepts and its author did not mean:
// statements that can never apply, wildcards that give more than they seem to, and the mistakes
// that make launches on encrypted volumes fail.
//
// What AWS itself refuses is found by package policy. Beyond that nothing is judged by rules of its
// own where the engine can be asked: whether an action matches, a condition can hold, a key policy
// admits a launch or a deny hits a service is decided by packages authz, authz/condition and
// launch, on requests and values that stand for all that can come. What actions there are, what
// they act on and which condition keys they carry is the table of package actions.
//
// A finding says that something is so, not that it may be: where a document of an unknown service
// or a fact outside the document decides, there is none, or a note that says what it depends on.
//
// Each rule has a section in docs/lint.md, whose examples are tested.
package lint
