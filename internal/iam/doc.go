// Package iam is AWS Identity and Access Management: users, access keys, roles, policies and
// service-linked roles.
//
// The principals themselves live in package directory, which compiles their documents for
// decisions; this package checks what is written there, in AWS's words. Service-linked roles and
// their policies are data (package linkedrole); the AWS managed policies are those of package managed.
//
// Source: IAM API Reference and IAM User Guide, page by page where a rule needs it.
package iam
