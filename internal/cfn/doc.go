// Package cfn reads templates of CloudFormation, also those that CDK and SAM make, in YAML and JSON,
// and makes of each launch in them (an Auto Scaling group, a node group, an instance, a fleet, a
// volume, an attachment) a scenario.
//
// It evaluates what a template says, and says it in the words of Terraform's provider, of which
// package tfplan makes the scenarios: what a launch is and what bears on it is told in one place.
//
// Intrinsic functions are computed as far as their arguments are known. What does not exist yet has
// a name that is the same wherever it is used, so a policy and a launch template that refer to one
// key meet. A text that has such a name of a resource that has nothing to do with keys (a bucket, a
// table) may be in a policy, and is not known anywhere else. Parameters without a value, imports from
// elsewhere, dynamic references, macros, and what custom resources and nested stacks return are not
// known; what depends on them is unknown in the scenario, with the reason.
//
// Readings:
//   - the account is the one that is given or that CDK has settled, else the one whose root a key
//     policy names as administrator, else the only one that the template names where it does not
//     say AWS::AccountId; else a number stands for it that no account has;
//   - the region is the one that is given, else the only one that the template names, else us-east-1;
//   - an image that AWS publishes in a parameter (/aws/service/...) is public, and so not encrypted
//     (EC2 User Guide, "Understand shared AMI usage in Amazon EC2");
//   - a resource whose condition is not known is taken to be created;
//   - calls of custom resources of CDK (AwsCustomResource) that make grants, key policies or settings of
//     EBS are made.
//
// Nested stacks are read if their templates can be had ([Options.Open]).
//
// User data, passwords and parameters with NoEcho never leave the template.
//
// Source: CloudFormation Template Reference Guide.
package cfn
