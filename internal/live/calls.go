package live

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// A Call is an operation that reading an account may take.
type Call struct {
	Service, Operation string
	// Action is the permission that it needs; "" if it needs none.
	Action string
	// Only is true of calls that only the management account of an organization, or who it delegates
	// that to, may make.
	Only bool
	// Read names what it tells.
	Read string
}

// Name is "service:Operation".
func (c Call) Name() string { return c.Service + ":" + c.Operation }

// Calls are all that is ever called. Each only reads.
func Calls() []Call {
	out := []Call{
		{Service: "sts", Operation: "GetCallerIdentity", Read: "who you are"}, // needs no permission (STS API Reference)
		{Service: "autoscaling", Operation: "DescribeAutoScalingGroups", Read: "the groups"},
		{Service: "autoscaling", Operation: "DescribeLaunchConfigurations", Read: "the launch configuration"},
		{Service: "ec2", Operation: "DescribeLaunchTemplateVersions", Read: "the launch template"},
		{Service: "ec2", Operation: "DescribeImages", Read: "the image"},
		{Service: "ec2", Operation: "DescribeSnapshots", Read: "the snapshot"},
		{Service: "ec2", Operation: "DescribeInstances", Read: "the instance"},
		{Service: "ec2", Operation: "DescribeVolumes", Read: "the volume"},
		{Service: "ec2", Operation: "GetEbsEncryptionByDefault", Read: "whether the account encrypts by default"},
		{Service: "ec2", Operation: "GetEbsDefaultKmsKeyId", Read: "the default key"},
		{Service: "kms", Operation: "DescribeKey", Read: "the key"},
		{Service: "kms", Operation: "GetKeyPolicy", Read: "the key policy"},
		{Service: "kms", Operation: "ListGrants", Read: "the grants of the key"},
		{Service: "kms", Operation: "ListAliases", Read: "the aliases"},
		{Service: "kms", Operation: "ListResourceTags", Read: "the tags of the key"},
		{Service: "iam", Operation: "GetRole", Read: "the role"},
		{Service: "iam", Operation: "ListRolePolicies", Read: "the role's own policies"},
		{Service: "iam", Operation: "GetRolePolicy", Read: "the role's own policy"},
		{Service: "iam", Operation: "ListAttachedRolePolicies", Read: "the policies that are attached to the role"},
		{Service: "iam", Operation: "GetUser", Read: "the user"},
		{Service: "iam", Operation: "ListUserPolicies", Read: "the user's own policies"},
		{Service: "iam", Operation: "GetUserPolicy", Read: "the user's own policy"},
		{Service: "iam", Operation: "ListAttachedUserPolicies", Read: "the policies that are attached to the user"},
		{Service: "iam", Operation: "ListGroupsForUser", Read: "the groups of the user"},
		{Service: "iam", Operation: "ListGroupPolicies", Read: "the group's own policies"},
		{Service: "iam", Operation: "GetGroupPolicy", Read: "the group's own policy"},
		{Service: "iam", Operation: "ListAttachedGroupPolicies", Read: "the policies that are attached to the group"},
		{Service: "iam", Operation: "GetPolicy", Read: "the managed policy"},
		{Service: "iam", Operation: "GetPolicyVersion", Read: "the managed policy"},
		{Service: "organizations", Operation: "DescribeOrganization", Read: "the organization"},
		{Service: "organizations", Operation: "ListParents", Only: true, Read: "what is above the account in the organization"},
		{Service: "organizations", Operation: "ListPoliciesForTarget", Only: true, Read: "the organization policies"},
		{Service: "organizations", Operation: "DescribePolicy", Only: true, Read: "the organization policy"},
	}
	for i := range out {
		if out[i].Service != "sts" {
			out[i].Action = out[i].Name()
		}
	}
	return out
}

// call finds a call of the table.
func call(service, operation string) (Call, bool) {
	calls := Calls()
	i := slices.IndexFunc(calls, func(c Call) bool { return c.Service == service && c.Operation == operation })
	if i < 0 {
		return Call{}, false
	}
	return calls[i], true
}

// Policy is the identity policy with which everything can be read that a check reads, if key
// policies leave it to identity policies. The last statement is of use in the management account of
// an organization, and for whom that delegates it to.
func Policy() []byte {
	type statement struct {
		Sid, Effect string
		Action      []string
		Resource    string
	}
	var out []statement
	for _, c := range Calls() {
		if c.Action == "" {
			continue
		}
		sid := "KagimoriReads" + strings.ToUpper(c.Service[:1]) + c.Service[1:]
		if c.Only {
			sid = "KagimoriReadsOrganizationPolicies"
		}
		i := slices.IndexFunc(out, func(s statement) bool { return s.Sid == sid })
		if i < 0 {
			i = len(out)
			out = append(out, statement{sid, "Allow", nil, "*"})
		}
		out[i].Action = append(out[i].Action, c.Action)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	doc := struct {
		Version   string
		Statement []statement
	}{"2012-10-17", out}
	if err := enc.Encode(doc); err != nil {
		panic("live: " + err.Error()) // strings alone
	}
	return buf.Bytes()
}
