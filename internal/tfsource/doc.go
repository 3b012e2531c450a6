// Package tfsource evaluates what Terraform's own files say of an attribute that a plan does not
// tell: a policy made by jsonencode, a template or a here-document of resources that do not exist yet,
// for which a plan has nothing but the names of what it refers to.
//
// References to resources are the [World]'s, which knows what stands for them. Local values, variables of
// modules, outputs, each and count are followed here, through local modules and those that
// `terraform init` installed. Whatever cannot be computed is unknown, and so is all that is made of it;
// nothing is asked of anybody, and no file outside the configuration's folder is read.
//
// Sources: Terraform, "Expressions", "Functions", "Module Sources"; the syntax is HashiCorp's own
// library's, github.com/hashicorp/hcl/v2.
package tfsource
