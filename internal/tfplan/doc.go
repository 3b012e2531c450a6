// Package tfplan reads what `terraform show -json` prints of a plan or a state, and makes of each
// launch in it (an Auto Scaling group, an instance, a volume, a copy) a scenario, in the types of
// package format: the launch with the part of the world that bears on it.
//
// What does not exist yet has no ARN and no id. It gets a name that is the same wherever it is used,
// so that a policy, a grant and a launch template that refer to one key still meet: ARNs that
// follow from a name are computed, ids are derived from the resource's address ([Launch.Names] tells
// which are). References are followed through modules, their variables and outputs, count and
// for_each, as far as the plan's configuration tells them. Expressions over several candidates, local
// values and dynamic blocks are not in a plan: a value that they hide is unknown, and
// [format.Scenario.Unknown] says so and why.
//
// Policy documents of aws_iam_policy_document that Terraform will only know after apply are put
// together here, if each of their unknown parts is one of those names. Those made by jsonencode and
// the like are evaluated from Terraform's own files (package tfsource), where these are at hand and refer to what the
// plan says that they do.
//
// Readings:
//   - the account of a provider is the one that data.aws_caller_identity has seen, else that of the
//     role to be assumed, the only one of allowed_account_ids, that of the ARNs that are known, or
//     the one to whose root the policies of its keys leave the administration of the key (no other
//     would pass the lockout check of CreateKey), or that of a provider that differs in the region alone;
//   - an image that is not described has a root device, which the account's encryption by default
//     encrypts, also where the template does not map it;
//   - a key of the plan has the grants of the plan; grants that were made elsewhere are not seen;
//   - new grants are made by whoever applies the plan, after everything else;
//   - whoever applies the plan may do what identity policies can allow ([Options.Strict] says that
//     this is unknown instead);
//   - a fleet launches as the service-linked role of EC2 Fleet or Spot Fleet, an instant fleet as whoever
//     applies the plan;
//   - a setting of EBS encryption that the plan does not manage or read is unknown;
//   - service control policies are those that hang on the account itself or on the root.
//
// Values that Terraform marks as sensitive are not read: they are unknown. User data, credentials
// and variables never leave the file.
//
// Source: Terraform, "JSON Output Format"; AWS provider 5 for the resources' attributes.
package tfplan
