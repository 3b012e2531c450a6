package tfplan

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// What a file says is taken only if AWS could have said it. Plans of tools that are not Terraform,
// and of test doubles, hold anything.

var (
	regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	plainName  = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) // of keys, users and roles
	iamPath    = regexp.MustCompile(`^/([!-~]+/)?$`)
)

// keyStates are what KMS says of a key. Source: KMS API Reference, "KeyMetadata".
var keyStates = []string{"Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport", "PendingReplicaDeletion", "Unavailable", "Updating"}

// isKey reports whether s is the ARN of a key.
func isKey(s string) bool {
	a, err := arn.Parse(s)
	return err == nil && a.Type() == "key" && arn.IsAccount(a.Account) && regionName.MatchString(a.Region) && plainName.MatchString(a.ID()) &&
		s == arn.KMSKey(a.Region, a.Account, a.ID())
}

// isPerson reports whether s is the ARN of a user, role, group or policy of an account.
func isPerson(s, kind string) bool {
	a, err := arn.Parse(s)
	if err != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Region != "" || !arn.IsAccount(a.Account) || a.Type() != kind {
		return false
	}
	path, ok := strings.CutPrefix(a.Resource, kind+"/")
	return ok && plainName.MatchString(bare(path)) && iamPath.MatchString("/"+strings.TrimSuffix(path, bare(path)))
}

// kindOf is how the ARN of a resource of IAM begins.
func kindOf(r *resource) string {
	if r.typ == "aws_iam_service_linked_role" {
		return "role"
	}
	return strings.TrimPrefix(r.typ, "aws_iam_")
}

// owner is the account that a resource says it is of, or that it is in.
func (m *model) owner(r *resource) string {
	if id := r.known("owner_id"); arn.IsAccount(id) {
		return id
	}
	return m.homeOf(r).account
}

// addAccounts adds accounts to those that something is shared with.
func addAccounts(to []string, ids ...string) []string {
	for _, id := range ids {
		if arn.IsAccount(id) && !slices.Contains(to, id) {
			to = append(to, id)
		}
	}
	return to
}
