package tour

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A statement of a policy, with its members in the order of the page.
type statement struct {
	Sid       string              `json:"Sid"`
	Effect    string              `json:"Effect"`
	Principal map[string][]string `json:"Principal,omitempty"`
	Action    []string            `json:"Action"`
	Resource  string              `json:"Resource"`
	Condition json.RawMessage     `json:"Condition,omitempty"`
}

// useActions are what the first statement of both examples allows.
var useActions = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}

// roleStatements are the two statements of example 1.
func roleStatements(role string) []statement {
	who := map[string][]string{"AWS": {role}}
	return []statement{
		{Sid: "Allow service-linked role use of the customer managed key", Effect: "Allow", Principal: who, Action: useActions, Resource: "*"},
		{
			Sid: "Allow attachment of persistent resources", Effect: "Allow", Principal: who, Action: []string{"kms:CreateGrant"}, Resource: "*",
			Condition: json.RawMessage(`{"Bool":{"kms:GrantIsForAWSResource":true}}`),
		},
	}
}

// accountStatements are the two statements of example 2.
func accountStatements(account string) []statement {
	who := map[string][]string{"AWS": {"arn:aws:iam::" + account + ":root"}}
	return []statement{
		{Sid: "Allow external account " + account + " use of the customer managed key", Effect: "Allow", Principal: who, Action: useActions, Resource: "*"},
		{
			Sid: "Allow attachment of persistent resources in external account " + account, Effect: "Allow", Principal: who,
			Action: []string{"kms:CreateGrant"}, Resource: "*",
		},
	}
}

// requesterPolicy is the IAM policy of example 2: its holder may make the grant.
func requesterPolicy(keyARN, owner string) (string, error) {
	return document([]statement{{
		Sid:    "AllowCreationOfGrantForTheKMSKeyinExternalAccount" + owner,
		Effect: "Allow", Action: []string{"kms:CreateGrant"}, Resource: keyARN,
	}})
}

// defaultPolicy is the key policy that CreateKey writes for a key without one.
func defaultPolicy(account string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions",`+
		`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, account)
}

func document(statements []statement) (string, error) {
	out, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	return string(out), err
}

// withStatements adds statements to the end of a policy and leaves the rest as it is.
func withStatements(policy string, add []statement) (string, error) {
	end := strings.LastIndexByte(policy, ']')
	if end < 0 {
		return "", fmt.Errorf("tour: a key policy without a list of statements: %s", policy)
	}
	more, err := json.Marshal(add)
	if err != nil {
		return "", err
	}
	out := strings.TrimRight(policy[:end], " \n\t") + "," + strings.Trim(string(more), "[]") + policy[end:]
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(out)); err != nil {
		return "", fmt.Errorf("tour: statements cannot be added to the key policy %s: %w", policy, err)
	}
	return line.String(), nil
}
