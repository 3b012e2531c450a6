// Package impact says what a change takes away before it is made: which volumes, instances, groups,
// templates, images, snapshots and principals stop working, and when, if a grant ends, a key is
// disabled or deleted, a statement of its policy goes, or a policy is detached.
//
// It has no rules of its own. A [Use] is a plan of package launch; both worlds, the one before the
// change and the one after it, answer the plan's requests with decisions of package authz, and what
// goes well before and is refused afterwards is an [Effect], with both answers as its evidence. A
// server gives the worlds of its store, the doctor those of a scenario.
//
// What runs keeps running: the host has the data key of an open volume in memory, and asks KMS again
// only when it opens the volume again. Source: Amazon EBS User Guide, "How Amazon EBS encryption
// works"; KMS Developer Guide, "How unusable KMS keys affect data keys".
package impact
