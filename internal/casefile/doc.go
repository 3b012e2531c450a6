// Package casefile reads cases for `kagimori decide`: JSON lines, each with one request, all
// policies that bear on it and, if it is a test, the decision to expect. The names of members are
// exact, unknown and repeated ones are errors, so that a case never means less than it says.
//
// A context value, a document, the resource or the caller may be unknown; the answer is then
// "Undetermined" if it depends on it:
//
//	"context": {"aws:SourceIp": {"unknown": true}}
//	"resourcePolicy": {"unknown": true, "name": "the key policy"}
//	"resource": {"unknown": true, "account": "111122223333"}
//	"principal": {"type": "unknown", "account": "111122223333"}
//
// A document may be in a file of its own, so that policies are tested as they stand:
//
//	"resourcePolicy": {"file": "key-policy.json"}
package casefile
