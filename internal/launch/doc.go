// Package launch is the one description of how volumes get their keys: which KMS key a device
// is encrypted under, which KMS requests follow, as which principal, with which encryption
// context and condition keys, which grants are made, and which steps undo it all.
//
// It is pure. A [State] is a value; [State.Step] says what to do now and [State.Next] takes what
// came of it. EC2 and EBS drive a State with the results of real calls, the doctor drives it
// with decisions, so the two cannot disagree.
//
// Order: first every key identifier is resolved, then every volume is made and filled, then
// every volume is attached (its grant made), then every volume is opened by the host. A failure
// at any step turns the machine round: it emits what undoes the completed steps, last first, and
// ends in [StepFail].
//
// What a driver promises:
//   - a step that fails leaves nothing behind of its own (a refused CreateGrant made no grant);
//   - it stores the State (it is JSON) before it performs a step that may outlive the process,
//     and after a restart performs State.Step again; Step.Seq tells a repeat from a new step;
//   - requests of [Caller] go out as the principal that called EC2, with [Request.Parts]'
//     context and without the network keys of that caller's own call (no aws:SourceIp, no
//     aws:SourceVpc): the request comes from EC2, not from there;
//   - plaintext data keys never enter a State: the steps that need one ([StepHydrate],
//     [StepOpenVolume]) carry their Decrypt requests with them and are one step.
//
// Sources: Amazon EBS User Guide, "How Amazon EBS encryption works" and "Requirements for Amazon
// EBS encryption"; KMS Developer Guide, "How Amazon Elastic Block Store (Amazon EBS) uses AWS
// KMS"; EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with encrypted
// volumes". Where they are silent the comments say what was chosen and why.
package launch
