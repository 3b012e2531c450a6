// Package incident explains what went wrong from what AWS left behind: CloudTrail's records of calls
// to KMS that were refused, failed scaling activities, instances that died.
//
// [Read] finds the records in what people have: log files (also compressed), the output of
// LookupEvents, of a log group, of EventBridge, or JSON lines. [Gather] puts repeats together. An
// [Explainer] says of each who asked for what, through which service and for whom, why it was refused
// as far as the record tells, and what would help: decided on the real documents if a scenario has
// the key, else what statement or grant it takes by the reason that the record gives. The proposals
// are the engine's either way.
package incident
