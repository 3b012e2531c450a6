package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func TestPolicyIsShownAsItWasMade(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	doc := document(allow(`["s3:GetObject", "kms:*"]`))
	made := get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{
		PolicyName: new("P"), Path: new("/x/"), Description: new("d"), PolicyDocument: &doc, Tags: []iamapi.Tag{{Key: new("k"), Value: new("v")}},
	}).Policy
	seen := get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: made.Arn}).Policy
	if *seen.Arn != "arn:aws:iam::111122223333:policy/x/P" || *seen.DefaultVersionId != "v1" || *seen.AttachmentCount != 0 ||
		*seen.Description != "d" || !*seen.IsAttachable || len(seen.Tags) != 1 || !strings.HasPrefix(*seen.PolicyId, "ANPA") {
		t.Errorf("seen %+v", seen)
	}
	v := get[iamapi.GetPolicyVersionResponse](a, &iamapi.GetPolicyVersionRequest{PolicyArn: made.Arn, VersionId: new("v1")}).PolicyVersion
	if got := decoded(t, v.Document); got != doc || !*v.IsDefaultVersion {
		t.Errorf("version: %s", got)
	}
}

func TestPolicyErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	p := a.createPolicy("taken")
	good := new(document(allow(`"s3:*"`)))
	none := new("arn:aws:iam::111122223333:policy/none")
	admin := new("arn:aws:iam::aws:policy/AdministratorAccess")
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"a name is taken whatever its case", &iamapi.CreatePolicyRequest{PolicyName: new("TAKEN"), PolicyDocument: good}, 409, "EntityAlreadyExists", "A policy called TAKEN already exists. Duplicate names are not allowed."},
		{"or its path", &iamapi.CreatePolicyRequest{PolicyName: new("taken"), Path: new("/x/"), PolicyDocument: good}, 409, "EntityAlreadyExists", "taken"},
		{"a document has a version", &iamapi.CreatePolicyRequest{PolicyName: new("n"), PolicyDocument: new(`{"Statement":[]}`)}, 400, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"a document has a size", &iamapi.CreatePolicyRequest{PolicyName: new("n"), PolicyDocument: new(document(allow(`"s3:` + strings.Repeat("x", 6144) + `"`)))}, 409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"},
		{"an unknown policy cannot be read", &iamapi.GetPolicyRequest{PolicyArn: none}, 404, "NoSuchEntity", "Policy arn:aws:iam::111122223333:policy/none was not found."},
		{"a path is part of the ARN", &iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::111122223333:policy/x/taken")}, 404, "NoSuchEntity", "was not found"},
		{"an unknown policy of AWS neither", &iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::aws:policy/NotThere")}, 404, "NoSuchEntity", "was not found"},
		{"an ARN is one of a policy", &iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::111122223333:role/taken")}, 400, "InvalidInput", "ARN arn:aws:iam::111122223333:role/taken is not valid."},
		{"another account's is not shown", &iamapi.GetPolicyRequest{PolicyArn: new("arn:aws:iam::444455556666:policy/p")}, 403, "AccessDenied", "is not authorized to perform: iam:GetPolicy"},
		{"an unknown version", &iamapi.GetPolicyVersionRequest{PolicyArn: &p, VersionId: new("v2")}, 404, "NoSuchEntity", "version v2 does not exist"},
		{"the default version stays", &iamapi.DeletePolicyVersionRequest{PolicyArn: &p, VersionId: new("v1")}, 409, "DeleteConflict", "Cannot delete the default version of a policy."},
		{"an unknown version is no default", &iamapi.SetDefaultPolicyVersionRequest{PolicyArn: &p, VersionId: new("v9")}, 404, "NoSuchEntity", "version v9 does not exist"},
		{"AWS's policies stay", &iamapi.DeletePolicyRequest{PolicyArn: admin}, 403, "AccessDenied", "belongs to AWS"},
		{"and their versions", &iamapi.CreatePolicyVersionRequest{PolicyArn: admin, PolicyDocument: good}, 403, "AccessDenied", "belongs to AWS"},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
}

func TestPolicyHasUpToFiveVersions(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	p := a.createPolicy("p")
	for i := 2; i <= 5; i++ {
		v := get[iamapi.CreatePolicyVersionResponse](a, &iamapi.CreatePolicyVersionRequest{PolicyArn: &p, PolicyDocument: new(document(allow(`"s3:*"`))), SetAsDefault: new(i == 3)}).PolicyVersion
		if *v.VersionId != fmt.Sprintf("v%d", i) || *v.IsDefaultVersion != (i == 3) || v.Document != nil {
			t.Errorf("version %d is %s, default %t", i, *v.VersionId, *v.IsDefaultVersion)
		}
	}
	more := &iamapi.CreatePolicyVersionRequest{PolicyArn: &p, PolicyDocument: new(document(allow(`"s3:*"`)))}
	a.refused(more, 409, "LimitExceeded", "A managed policy can have up to 5 versions.")
	a.refused(&iamapi.DeletePolicyRequest{PolicyArn: &p}, 409, "DeleteConflict", "This policy has more than one version.")
	a.must(&iamapi.SetDefaultPolicyVersionRequest{PolicyArn: &p, VersionId: new("v5")})
	var ids []string
	in := &iamapi.ListPolicyVersionsRequest{PolicyArn: &p, MaxItems: new(int32(2))}
	for range 3 {
		out := get[iamapi.ListPolicyVersionsResponse](a, in)
		for _, v := range out.Versions {
			ids = append(ids, *v.VersionId)
			if *v.IsDefaultVersion != (*v.VersionId == "v5") {
				t.Errorf("%s is default: %t", *v.VersionId, *v.IsDefaultVersion)
			}
		}
		in.Marker = out.Marker
	}
	if got := strings.Join(ids, " "); got != "v5 v4 v3 v2 v1" {
		t.Errorf("listed %s", got)
	}
	for _, v := range []string{"v1", "v2", "v3", "v4"} {
		a.must(&iamapi.DeletePolicyVersionRequest{PolicyArn: &p, VersionId: &v})
	}
	if v := get[iamapi.CreatePolicyVersionResponse](a, more).PolicyVersion; *v.VersionId != "v6" {
		t.Errorf("numbers are used again: %s", *v.VersionId)
	}
	a.must(&iamapi.DeletePolicyVersionRequest{PolicyArn: &p, VersionId: new("v6")})
	a.must(&iamapi.DeletePolicyRequest{PolicyArn: &p})
}

func TestListPolicies(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createPolicy("Local1")
	attached := a.createPolicy("local2")
	bound := a.createPolicy("local3")
	a.createRole("r")
	a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: &attached})
	a.must(&iamapi.CreateUserRequest{UserName: new("u"), PermissionsBoundary: &bound})
	names := func(in *iamapi.ListPoliciesRequest) string {
		in.MaxItems = new(int32(1))
		var all []string
		for range 100 {
			out := get[iamapi.ListPoliciesResponse](a, in)
			for _, p := range out.Policies {
				all = append(all, *p.PolicyName)
			}
			if in.Marker = out.Marker; in.Marker == nil {
				break
			}
		}
		return strings.Join(all, " ")
	}
	for _, tt := range []struct {
		rule string
		in   iamapi.ListPoliciesRequest
		want string
	}{
		{"local", iamapi.ListPoliciesRequest{Scope: new("Local")}, "Local1 local2 local3"},
		{"attached", iamapi.ListPoliciesRequest{OnlyAttached: new(true)}, "AdministratorAccess local2"},
		{"boundaries", iamapi.ListPoliciesRequest{PolicyUsageFilter: new("PermissionsBoundary")}, "local3"},
		{"permissions", iamapi.ListPoliciesRequest{Scope: new("Local"), PolicyUsageFilter: new("PermissionsPolicy")}, "Local1 local2"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := names(&tt.in); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	whole := get[iamapi.ListPoliciesResponse](a, &iamapi.ListPoliciesRequest{Scope: new("AWS")}).Policies
	if paged := strings.Fields(names(&iamapi.ListPoliciesRequest{Scope: new("AWS")})); len(paged) != len(whole) || len(whole) < 4 {
		t.Errorf("%d policies of AWS, %d page by page", len(whole), len(paged))
	}
	aws := strings.Fields(names(&iamapi.ListPoliciesRequest{Scope: new("AWS"), PathPrefix: new("/aws-service-role/")}))
	if !slices.Contains(aws, "AutoScalingServiceRolePolicy") || slices.Contains(aws, "AdministratorAccess") {
		t.Errorf("under /aws-service-role/: %v", aws)
	}
}

func TestAWSManagedPolicyIsReadable(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	arn := new("arn:aws:iam::aws:policy/AdministratorAccess")
	p := get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: arn}).Policy
	if *p.AttachmentCount != 1 { // the user admin
		t.Errorf("attached %d times", *p.AttachmentCount)
	}
	v := get[iamapi.GetPolicyVersionResponse](a, &iamapi.GetPolicyVersionRequest{PolicyArn: arn, VersionId: p.DefaultVersionId}).PolicyVersion
	if doc := decoded(t, v.Document); !strings.Contains(doc, `"Allow"`) {
		t.Errorf("document: %s", doc)
	}
	if vs := get[iamapi.ListPolicyVersionsResponse](a, &iamapi.ListPolicyVersionsRequest{PolicyArn: arn}).Versions; len(vs) != 1 {
		t.Errorf("%d versions", len(vs))
	}
	if tags := get[iamapi.ListPolicyTagsResponse](a, &iamapi.ListPolicyTagsRequest{PolicyArn: arn}).Tags; len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
}

func TestAttachments(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("R")
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	p := a.createPolicy("p")
	for range 2 { // a second time changes nothing
		a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: &p})
	}
	a.must(&iamapi.AttachUserPolicyRequest{UserName: new("u"), PolicyArn: &p})
	a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")})
	if n := *get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: &p}).Policy.AttachmentCount; n != 2 {
		t.Errorf("attached %d times", n)
	}
	first := get[iamapi.ListAttachedRolePoliciesResponse](a, &iamapi.ListAttachedRolePoliciesRequest{RoleName: new("r"), MaxItems: new(int32(1))})
	second := get[iamapi.ListAttachedRolePoliciesResponse](a, &iamapi.ListAttachedRolePoliciesRequest{RoleName: new("r"), MaxItems: new(int32(1)), Marker: first.Marker})
	if *first.AttachedPolicies[0].PolicyArn != p || *second.AttachedPolicies[0].PolicyName != "PowerUserAccess" || *second.IsTruncated {
		t.Errorf("listed %v, then %v", first.AttachedPolicies, second.AttachedPolicies)
	}
	users := get[iamapi.ListAttachedUserPoliciesResponse](a, &iamapi.ListAttachedUserPoliciesRequest{UserName: new("u"), PathPrefix: new("/other/")})
	if len(users.AttachedPolicies) != 0 {
		t.Errorf("under another path: %v", users.AttachedPolicies)
	}
	all := get[iamapi.ListEntitiesForPolicyResponse](a, &iamapi.ListEntitiesForPolicyRequest{PolicyArn: &p})
	if len(all.PolicyRoles) != 1 || *all.PolicyRoles[0].RoleName != "R" || len(all.PolicyUsers) != 1 {
		t.Errorf("entities: %+v", all)
	}
	one := get[iamapi.ListEntitiesForPolicyResponse](a, &iamapi.ListEntitiesForPolicyRequest{PolicyArn: &p, MaxItems: new(int32(1))})
	two := get[iamapi.ListEntitiesForPolicyResponse](a, &iamapi.ListEntitiesForPolicyRequest{PolicyArn: &p, MaxItems: new(int32(1)), Marker: one.Marker})
	if !*one.IsTruncated || len(one.PolicyRoles)+len(one.PolicyUsers) != 1 || *two.IsTruncated || len(two.PolicyUsers) != 1 {
		t.Errorf("page by page: %+v, then %+v", one, two)
	}
	some := get[iamapi.ListEntitiesForPolicyResponse](a, &iamapi.ListEntitiesForPolicyRequest{PolicyArn: &p, EntityFilter: new("User"), PolicyUsageFilter: new("PermissionsPolicy")})
	if len(some.PolicyRoles) != 0 || len(some.PolicyUsers) != 1 {
		t.Errorf("users: %+v", some)
	}
	a.refused(&iamapi.DeletePolicyRequest{PolicyArn: &p}, 409, "DeleteConflict", "Cannot delete a policy attached to entities.")
	a.must(&iamapi.DetachRolePolicyRequest{RoleName: new("r"), PolicyArn: &p})
	a.must(&iamapi.DetachUserPolicyRequest{UserName: new("u"), PolicyArn: &p})
	a.refused(&iamapi.DetachUserPolicyRequest{UserName: new("u"), PolicyArn: &p}, 404, "NoSuchEntity", "was not found")
	a.must(&iamapi.DeletePolicyRequest{PolicyArn: &p})
}

func TestAttachErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("full")
	for i := range 10 {
		p := a.createPolicy(fmt.Sprintf("p%d", i))
		a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: &p})
	}
	p := a.createPolicy("p")
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"ten are enough", &iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: &p}, 409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"},
		{"a policy exists", &iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: new("arn:aws:iam::111122223333:policy/no")}, 404, "NoSuchEntity", "Policy arn:aws:iam::111122223333:policy/no does not exist or is not attachable."},
		{"and is the account's", &iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: new("arn:aws:iam::444455556666:policy/p")}, 404, "NoSuchEntity", "does not exist or is not attachable."},
		{"and not a service's", &iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: new("arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy")}, 400, "PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role."},
		{"a role exists", &iamapi.AttachRolePolicyRequest{RoleName: new("no"), PolicyArn: &p}, 404, "NoSuchEntity", "The role with name no cannot be found."},
		{"a user exists", &iamapi.AttachUserPolicyRequest{UserName: new("no"), PolicyArn: &p}, 404, "NoSuchEntity", "The user with name no cannot be found."},
		{"an ARN is an ARN", &iamapi.AttachRolePolicyRequest{RoleName: new("full"), PolicyArn: new("not-an-arn-of-twenty")}, 400, "InvalidInput", "is not valid"},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
}

func TestInlinePolicies(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("R")
	a.must(&iamapi.CreateUserRequest{UserName: new("U")})
	doc := document(allow(`"s3:*"`))
	for _, n := range []string{"b", "A", "c"} {
		a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: &n, PolicyDocument: &doc})
	}
	other := document(allow(`"ec2:*"`))
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("B"), PolicyDocument: &other})
	got := get[iamapi.GetRolePolicyResponse](a, &iamapi.GetRolePolicyRequest{RoleName: new("r"), PolicyName: new("b")})
	if *got.RoleName != "R" || *got.PolicyName != "B" || decoded(t, got.PolicyDocument) != other {
		t.Errorf("got %s %s", *got.RoleName, *got.PolicyName)
	}
	first := get[iamapi.ListRolePoliciesResponse](a, &iamapi.ListRolePoliciesRequest{RoleName: new("r"), MaxItems: new(int32(2))})
	rest := get[iamapi.ListRolePoliciesResponse](a, &iamapi.ListRolePoliciesRequest{RoleName: new("r"), Marker: first.Marker})
	if names := strings.Join(append(first.PolicyNames, rest.PolicyNames...), " "); names != "A B c" || *rest.IsTruncated {
		t.Errorf("listed %s", names)
	}
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("p"), PolicyDocument: &doc})
	if u := get[iamapi.GetUserPolicyResponse](a, &iamapi.GetUserPolicyRequest{UserName: new("u"), PolicyName: new("p")}); *u.UserName != "U" || decoded(t, u.PolicyDocument) != doc {
		t.Errorf("user's: %+v", u)
	}
	if l := get[iamapi.ListUserPoliciesResponse](a, &iamapi.ListUserPoliciesRequest{UserName: new("u")}).PolicyNames; len(l) != 1 {
		t.Errorf("user's: %v", l)
	}
	big := func(n int) *string { return new(document(allow(`"s3:` + strings.Repeat("x", n) + `"`))) }
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"all inline policies of a user count together", &iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("q"), PolicyDocument: big(1900)}, 409, "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user U"},
		{"a role may have more, but not all", &iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("q"), PolicyDocument: big(10240)}, 409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role R"},
		{"no principal", &iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("q"), PolicyDocument: &ec2Trust}, 400, "MalformedPolicyDocument", "Policy document should not specify a principal."},
		{"unknown of a role", &iamapi.GetRolePolicyRequest{RoleName: new("r"), PolicyName: new("no")}, 404, "NoSuchEntity", "The role policy with name no cannot be found."},
		{"unknown of a user", &iamapi.DeleteUserPolicyRequest{UserName: new("u"), PolicyName: new("no")}, 404, "NoSuchEntity", "The user policy with name no cannot be found."},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("p"), PolicyDocument: big(1900)}) // in the place of the old one
	a.must(&iamapi.DeleteRolePolicyRequest{RoleName: new("r"), PolicyName: new("a")})
	if l := get[iamapi.ListRolePoliciesResponse](a, &iamapi.ListRolePoliciesRequest{RoleName: new("r")}).PolicyNames; len(l) != 2 {
		t.Errorf("left: %v", l)
	}
}

func TestDocumentsOfMostlyWhiteSpaceMeetAQuota(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	doc := document(allow(`"s3:*"`))
	doc += strings.Repeat("\n", 131072-len(doc))
	p := *get[iamapi.CreatePolicyResponse](a, &iamapi.CreatePolicyRequest{PolicyName: new("p"), PolicyDocument: &doc}).Policy.Arn
	v := get[iamapi.GetPolicyVersionResponse](a, &iamapi.GetPolicyVersionRequest{PolicyArn: &p, VersionId: new("v1")}).PolicyVersion
	if decoded(t, v.Document) != doc {
		t.Error("the document did not come back as it was")
	}
	for range 4 {
		if _, err := a.do(&iamapi.CreatePolicyVersionRequest{PolicyArn: &p, PolicyDocument: &doc}); err != nil {
			a.refused(&iamapi.CreatePolicyVersionRequest{PolicyArn: &p, PolicyDocument: &doc}, 409, "LimitExceeded", "white space")
			return
		}
	}
	t.Error("five versions of 128 KiB were kept in one transaction")
}
