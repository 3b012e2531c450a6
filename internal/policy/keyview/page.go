package keyview

import (
	"encoding/json"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
)

// Owner is the account of the key: that of the statement which lets IAM policies decide. ok is
// false if there is no such statement, or there are several accounts.
func (p *Policy) Owner() (account string, ok bool) {
	for _, st := range p.doc.Statements {
		if !root.says(&st) {
			continue
		}
		id, _ := policy.IsAccountPrincipal(st.Principal.AWS[0].Value)
		if ok && id != account {
			return "", false
		}
		account, ok = id, true
	}
	return account, ok
}

// RepeatedSids are the Sids that more than one statement has.
func (p *Policy) RepeatedSids() []string {
	seen := map[string]int{}
	var out []string
	for _, st := range p.doc.Statements {
		if seen[st.Sid]++; st.Sid != "" && seen[st.Sid] == 2 {
			out = append(out, st.Sid)
		}
	}
	return out
}

// GrantCommand is the command of the page's second example: run by an administrator of the account
// of a service-linked role, it lets the role use a key of another account.
func GrantCommand(key arn.ARN, role string) string {
	operations := []string{
		"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
	}
	return "aws kms create-grant \\\n  --region " + key.Region + " \\\n  --key-id " + key.String() + " \\\n  --grantee-principal " + role +
		" \\\n  --operations " + strings.Join(operations, " ")
}

// RequesterPolicy is the IAM policy of the page's second example, for who runs [GrantCommand].
func RequesterPolicy(key arn.ARN) []byte {
	type statement struct{ Sid, Effect, Action, Resource string }
	out, _ := json.MarshalIndent(struct { // strings always marshal
		Version   string
		Statement []statement
	}{policy.Version2012, []statement{{
		"AllowCreationOfGrantForTheKMSKeyinExternalAccount" + key.Account, policy.Allow.String(), "kms:CreateGrant", key.String(),
	}}}, "", "  ")
	return out
}
