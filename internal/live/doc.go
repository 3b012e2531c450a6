// Package live reads what bears on a launch out of AWS accounts, with calls that change nothing, and
// makes a launch scenario of it, for package doctor to check.
//
// It reads what a launch refers to and no more: the group or template, its images and their
// snapshots, the account's defaults, the keys of all these with policy and grants, the roles and
// users that ask or are named, and the organization's policies. User data and secrets are not kept.
//
// What may not be read is not known ([format.Scenario.Unknown]), with the call that was refused and
// the permission that is missing. Every call is in one table ([Calls]), from which [Policy] writes
// the permissions that it takes.
package live
