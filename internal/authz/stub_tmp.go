package authz

import "strings"

type compiled struct{}

func isServiceLinkedRole(arn string) bool { return strings.Contains(arn, ":role/aws-service-role/") }
