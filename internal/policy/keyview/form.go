package keyview

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/policy"
)

// A form is a statement as the console or a page of AWS has it, for whatever principals.
type form struct {
	sids []string // the first is written; an account's id replaces {account}
	// core are the actions that it always has, optional those that it may have beside.
	core, optional []string
	// others are what it may have in the place of core: for other kinds of key.
	others [][]string
	// forAWS says that it holds for grants of AWS services only; bare writes the condition as a
	// boolean, as the page has it.
	forAWS, bare bool
}

// Forms of the console.
var (
	root = &form{sids: []string{"Enable IAM User Permissions", "Enable IAM policies"}, core: []string{"kms:*"}}

	administration = &form{
		sids: []string{"Allow access for Key Administrators"},
		core: []string{
			"kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*",
			"kms:Get*", "kms:Delete*",
		},
		optional: slices.Concat(tagging, deletion, []string{
			"kms:ImportKeyMaterial", "kms:ReplicateKey", "kms:RotateKeyOnDemand", "kms:SynchronizeMultiRegionKey",
		}),
	}
	tagging  = []string{"kms:TagResource", "kms:UntagResource"}
	rotation = []string{"kms:RotateKeyOnDemand"}
	deletion = []string{"kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"}

	use = &form{
		sids: []string{"Allow use of the key"}, core: symmetric, optional: []string{"kms:GetPublicKey"},
		others: [][]string{encrypting, signing, agreement, mac},
	}
	symmetric  = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}
	encrypting = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:DescribeKey", "kms:GetPublicKey"}
	signing    = []string{"kms:DescribeKey", "kms:GetPublicKey", "kms:Sign", "kms:Verify"}
	agreement  = []string{"kms:DescribeKey", "kms:GetPublicKey", "kms:DeriveSharedSecret"}
	mac        = []string{"kms:DescribeKey", "kms:GenerateMac", "kms:VerifyMac"}

	attachment = &form{
		sids: []string{"Allow attachment of persistent resources"}, forAWS: true,
		core: []string{"kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"},
	}
)

// Forms of the page on keys for encrypted volumes.
var (
	roleUse        = &form{sids: []string{"Allow service-linked role use of the customer managed key"}, core: symmetric}
	roleAttachment = &form{sids: []string{"Allow attachment of persistent resources"}, core: []string{"kms:CreateGrant"}, forAWS: true, bare: true}
	accountUse     = &form{sids: []string{"Allow external account {account} use of the customer managed key"}, core: symmetric}
	accountGrants  = &form{sids: []string{"Allow attachment of persistent resources in external account {account}"}, core: []string{"kms:CreateGrant"}}

	// leastUse is what a launch asks for as the role: a data key for an empty or plain volume, another
	// key's data key for one from an encrypted snapshot.
	leastUse = &form{
		sids: []string{"Allow launches on encrypted volumes"},
		core: []string{"kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"},
	}
)

// A Usage is what a key is for, which decides what its users may do.
type Usage string

// Usages.
const (
	Symmetric    Usage = "symmetric"     // encrypts, by a key that never leaves KMS
	Encrypting   Usage = "rsa"           // ENCRYPT_DECRYPT by a key pair
	Signing      Usage = "sign-verify"   // SIGN_VERIFY
	Agreement    Usage = "key-agreement" // KEY_AGREEMENT
	Authenticity Usage = "mac"           // GENERATE_VERIFY_MAC
)

// Usages are all of them.
func Usages() []Usage { return []Usage{Symmetric, Encrypting, Signing, Agreement, Authenticity} }

// wanted is a statement that an edit sees to: a form, and the actions of a new one.
type wanted struct {
	*form
	actions []string
}

// wants are the statements for the users of a key. HMAC keys take no part in grants of services.
func (u Usage) wants() ([]wanted, bool) {
	grants := wanted{attachment, attachment.core}
	switch u {
	case Symmetric, "":
		return []wanted{{use, symmetric}, grants}, true
	case Encrypting:
		return []wanted{{use, encrypting}, grants}, true
	case Signing:
		return []wanted{{use, signing}, grants}, true
	case Agreement:
		return []wanted{{use, agreement}, grants}, true
	case Authenticity:
		return []wanted{{use, mac}}, true
	}
	return nil, false
}

// is reports whether a statement has the form.
func (f *form) is(st *policy.Statement) bool {
	return slices.ContainsFunc(f.sids, func(sid string) bool {
		rest, ok := strings.CutPrefix(st.Sid, sid)
		n, err := strconv.Atoi(strings.TrimPrefix(rest, " "))
		return rest == "" && ok || ok && err == nil && rest == " "+strconv.Itoa(n) // see Policy.free
	}) && f.says(st)
}

// says reports whether a statement says what the form does, whatever its Sid.
func (f *form) says(st *policy.Statement) bool {
	p := st.Principal
	if st.Effect != policy.Allow || p == nil || p.Any || len(p.AWS) == 0 || len(p.Service)+len(p.Federated)+len(p.Canonical) > 0 ||
		len(st.Resources) != 1 || st.Resources[0].Value != "*" || f.forAWS != isForAWS(st.Conditions) || !f.forAWS && len(st.Conditions) > 0 {
		return false
	}
	if f == root {
		if len(p.AWS) != 1 {
			return false
		}
		if _, ok := policy.IsAccountPrincipal(p.AWS[0].Value); !ok {
			return false
		}
	}
	return slices.ContainsFunc(append([][]string{f.core}, f.others...), func(core []string) bool {
		return contains(st.Actions, core...) && !slices.ContainsFunc(st.Actions, func(a policy.Text) bool {
			return !listed(core, a.Value) && !listed(f.optional, a.Value)
		})
	})
}

func listed(actions []string, action string) bool {
	return slices.ContainsFunc(actions, func(a string) bool { return strings.EqualFold(a, action) })
}

// covers reports whether a list allows all of some actions, by patterns that end with a star too.
func covers(list []policy.Text, actions []string) bool {
	for _, a := range actions {
		if !slices.ContainsFunc(list, func(t policy.Text) bool {
			prefix, many := strings.CutSuffix(strings.ToLower(t.Value), "*")
			return strings.EqualFold(t.Value, a) || many && strings.HasPrefix(strings.ToLower(a), prefix)
		}) {
			return false
		}
	}
	return true
}

// contains reports whether a list has all of some actions, spelled out.
func contains(list []policy.Text, actions ...string) bool {
	for _, a := range actions {
		if !slices.ContainsFunc(list, func(t policy.Text) bool { return strings.EqualFold(t.Value, a) }) {
			return false
		}
	}
	return true
}

// isForAWS reports whether the conditions are that a grant is for a service of AWS, and no other.
func isForAWS(all []policy.Condition) bool {
	return len(all) == 1 && strings.EqualFold(all[0].Operator, "Bool") && strings.EqualFold(all[0].Key, "kms:GrantIsForAWSResource") &&
		len(all[0].Values) == 1 && strings.EqualFold(all[0].Values[0].Value, "true")
}

// statement is one in the form, as JSON in the order of the console.
func (f *form) statement(sid, principal string, actions []string) []byte {
	var v struct {
		Sid       string
		Effect    string
		Principal struct{ AWS []string }
		Action    []string
		Resource  string
		Condition map[string]map[string]any `json:",omitempty"`
	}
	v.Sid, v.Effect, v.Resource = sid, policy.Allow.String(), "*"
	v.Principal.AWS, v.Action = []string{principal}, actions
	if f.forAWS {
		var is any = "true"
		if f.bare {
			is = true
		}
		v.Condition = map[string]map[string]any{"Bool": {"kms:GrantIsForAWSResource": is}}
	}
	out, _ := json.Marshal(v) // strings always marshal
	return out
}
