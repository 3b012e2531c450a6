// Package authz decides whether a principal may perform an action on a resource, and says why.
//
// [Decide] is a pure function: it reads no store, no clock and no network, so every input that
// can change an answer is a field of [Request].
//
// An explicit deny in any layer wins. After that every limiting layer that is present must
// allow, and at least one granting layer must allow.
//
// Inputs may be unknown: values of condition keys, the caller, the resource, whole documents.
// Evaluation is in three-valued logic, so a definite answer holds for every way to complete the
// request. What is undetermined then is decided again with values that stand for all values of
// the unknown keys, where such exist. [Undetermined] remains where completions differ, and where
// an engine would have to reason about patterns or several unknown documents at once to see that
// they do not.
//
// Invariants: the zero Decision denies; in explained mode every layer is evaluated even after
// the answer is known, so an explanation names every missing permission at once; a statement
// that cannot be evaluated never allows.
package authz
