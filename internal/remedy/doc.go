// Package remedy writes a fix down as what people run or paste: commands of the aws CLI, resources of
// Terraform or CloudFormation, or the JSON Patch itself.
//
// A fix is a patch of a launch scenario. [Steps] makes of it the changes of the real world, in the
// order in which they have to be made: what is named must exist first, a grant may need a policy, and
// the launch comes last. Policies keep every byte that the fix does not change.
package remedy
