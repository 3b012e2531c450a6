// Package doctor says beforehand what becomes of a launch: whether it gets through KMS and, if not,
// which request by whom is refused, why, what the user sees, and the smallest change that helps.
//
// It has no rules of its own. Which key a volume gets and which requests follow is package launch,
// driven with decisions in the place of calls; each decision is package authz; what KMS asks beyond
// permission is package keyrule. A server does the same with the same packages, so the two agree.
//
// Each device is judged on its own, so that the failure of one hides no other. What is not known
// stays unknown: a device that depends on it is neither good nor bad, and the report says which
// facts would settle it. A fix was applied and the whole launch checked again before it is named.
package doctor
