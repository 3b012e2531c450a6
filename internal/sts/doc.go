// Package sts is the AWS Security Token Service: who a caller is, and sessions of roles.
//
// Whether a role may be assumed is one decision with the role's trust policy as its resource
// policy; credentials are made by package directory and say nothing that the role does not.
//
// Source: STS API Reference; IAM User Guide, "Temporary security credentials in IAM".
package sts
