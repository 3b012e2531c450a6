package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func TestRoleIsShownAsItWasMade(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	doc := "{ \"Version\": \"2012-10-17\", \"Statement\": [ {\"Effect\": \"Allow\", \"Principal\": {\"Service\": \"ec2.amazonaws.com\"}, \"Action\": \"sts:AssumeRole\"} ] }"
	made := get[iamapi.CreateRoleResponse](a, &iamapi.CreateRoleRequest{
		RoleName: new("Builder"), Path: new("/ci/"), AssumeRolePolicyDocument: &doc, Description: new("builds"), MaxSessionDuration: new(int32(7200)),
		Tags: []iamapi.Tag{{Key: new("env"), Value: new("test")}},
	}).Role
	seen := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("builder")}).Role
	if *seen.Arn != "arn:aws:iam::111122223333:role/ci/Builder" || *seen.RoleId != *made.RoleId || *seen.MaxSessionDuration != 7200 || *seen.Description != "builds" {
		t.Errorf("seen %+v", seen)
	}
	if got := decoded(t, seen.AssumeRolePolicyDocument); got != doc {
		t.Errorf("trust policy came back as %s", got)
	}
	if seen.RoleLastUsed == nil || seen.RoleLastUsed.LastUsedDate != nil || len(seen.Tags) != 1 {
		t.Errorf("last used %+v, tags %v", seen.RoleLastUsed, seen.Tags)
	}
	a.must(&iamapi.UpdateRoleRequest{RoleName: new("builder"), Description: new(""), MaxSessionDuration: new(int32(3600))})
	seen = get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("Builder")}).Role
	if *seen.MaxSessionDuration != 3600 || seen.Description != nil {
		t.Errorf("updated to %+v", seen)
	}
	a.must(&iamapi.DeleteRoleRequest{RoleName: new("BUILDER")})
	a.refused(&iamapi.GetRoleRequest{RoleName: new("Builder")}, 404, "NoSuchEntity", "The role with name Builder cannot be found.")
}

func TestRoleErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("taken")
	create := func(trust string) any {
		return &iamapi.CreateRoleRequest{RoleName: new("r"), AssumeRolePolicyDocument: &trust}
	}
	many := make([]string, 41)
	for i := range many {
		many[i] = fmt.Sprintf(`"%012d"`, i)
	}
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"a name is taken whatever its case", &iamapi.CreateRoleRequest{RoleName: new("TAKEN"), AssumeRolePolicyDocument: &ec2Trust}, 409, "EntityAlreadyExists", "Role with name TAKEN already exists."},
		{"AWS keeps paths for itself", &iamapi.CreateRoleRequest{RoleName: new("r"), Path: new("/aws-service-role/x.amazonaws.com/"), AssumeRolePolicyDocument: &ec2Trust}, 400, "InvalidInput", "reserved"},
		{"a trust policy is JSON", create("{"), 400, "MalformedPolicyDocument", "This policy contains invalid Json"},
		{"it has no Resource", create(document(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`)), 400, "MalformedPolicyDocument", "Has prohibited field Resource"},
		{"a user in it exists", create(trusts(`"AWS":"arn:aws:iam::111122223333:user/nobody"`)), 400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/nobody"`},
		{"a role in it exists", create(trusts(`"AWS":"arn:aws:iam::444455556666:role/none"`)), 400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::444455556666:role/none"`},
		{"a role's path counts", create(trusts(`"AWS":"arn:aws:iam::111122223333:role/x/taken"`)), 400, "MalformedPolicyDocument", `Invalid principal in policy`},
		{"a unique id means somebody", create(trusts(`"AWS":"AROAAAAAAAAAAAAAAAAAA"`)), 400, "MalformedPolicyDocument", `Invalid principal in policy`},
		{"a service is a service principal", create(trusts(`"Service":"ec2"`)), 400, "MalformedPolicyDocument", `Invalid principal in policy: "SERVICE":"ec2"`},
		{"it has a size", create(trusts(`"AWS":"*"},"Condition":{"StringEquals":{"aws:username":"` + strings.Repeat("x", 2048) + `"}`)), 409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"},
		{"it names so many principals", create(trusts(`"AWS":[` + strings.Join(many, ",") + `]`)), 409, "LimitExceeded", "PrincipalsPerTrustPolicy"},
		{"a session is not too long", &iamapi.CreateRoleRequest{RoleName: new("r"), AssumeRolePolicyDocument: &ec2Trust, MaxSessionDuration: new(int32(43201))}, 400, "ValidationError", "maxSessionDuration"},
		{"an unknown role cannot be changed", &iamapi.UpdateRoleRequest{RoleName: new("none")}, 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"or trusted", &iamapi.UpdateAssumeRolePolicyRequest{RoleName: new("none"), PolicyDocument: &ec2Trust}, 404, "NoSuchEntity", "none"},
		{"or deleted", &iamapi.DeleteRoleRequest{RoleName: new("none")}, 404, "NoSuchEntity", "none"},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
}

func TestRoleIsDeletedWhenItHasNoPolicies(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createRole("r")
	p := a.createPolicy("p")
	a.must(&iamapi.AttachRolePolicyRequest{RoleName: new("r"), PolicyArn: &p})
	a.must(&iamapi.PutRolePolicyRequest{RoleName: new("r"), PolicyName: new("i"), PolicyDocument: new(document(allow(`"s3:*"`)))})
	a.refused(&iamapi.DeleteRoleRequest{RoleName: new("r")}, 409, "DeleteConflict", "must detach all policies first")
	a.must(&iamapi.DetachRolePolicyRequest{RoleName: new("r"), PolicyArn: &p})
	a.refused(&iamapi.DeleteRoleRequest{RoleName: new("r")}, 409, "DeleteConflict", "must delete policies first")
	a.must(&iamapi.DeleteRolePolicyRequest{RoleName: new("r"), PolicyName: new("i")})
	a.must(&iamapi.DeleteRoleRequest{RoleName: new("r")})
}

func TestTrustedPrincipalThatIsGoneShowsAsItsUniqueID(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	id := *get[iamapi.CreateUserResponse](a, &iamapi.CreateUserRequest{UserName: new("u")}).User.UserId
	doc := trusts(`"AWS":["arn:aws:iam::111122223333:user/u","444455556666"]`)
	a.must(&iamapi.CreateRoleRequest{RoleName: new("r"), AssumeRolePolicyDocument: &doc})
	shown := func() string {
		return decoded(t, get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("r")}).Role.AssumeRolePolicyDocument)
	}
	if got := shown(); got != doc {
		t.Errorf("while the user lives: %s", got)
	}
	a.must(&iamapi.DeleteUserRequest{UserName: new("u")})
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	want := strings.Replace(doc, "arn:aws:iam::111122223333:user/u", id, 1)
	if got := shown(); got != want {
		t.Errorf("after the user was made anew:\ngot  %s\nwant %s", got, want)
	}
	listed := get[iamapi.ListRolesResponse](a, &iamapi.ListRolesRequest{}).Roles[0]
	if got := decoded(t, listed.AssumeRolePolicyDocument); got != want {
		t.Errorf("listed: %s", got)
	}
	a.refused(&iamapi.UpdateAssumeRolePolicyRequest{RoleName: new("r"), PolicyDocument: &want}, 400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"`+id+`"`)
}

func TestUniqueIDInATrustPolicyIsShownAsTheARN(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	id := *get[iamapi.CreateUserResponse](a, &iamapi.CreateUserRequest{UserName: new("u")}).User.UserId
	a.createRole("r")
	a.must(&iamapi.UpdateAssumeRolePolicyRequest{RoleName: new("r"), PolicyDocument: new(trusts(`"AWS":"` + id + `"`))})
	got := decoded(t, get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: new("r")}).Role.AssumeRolePolicyDocument)
	if want := trusts(`"AWS":"arn:aws:iam::111122223333:user/u"`); got != want {
		t.Errorf("got %s", got)
	}
}

func TestListRolesPagesUnderAPath(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	for i := range 5 {
		a.must(&iamapi.CreateRoleRequest{RoleName: new(fmt.Sprintf("r%d", i)), Path: new(fmt.Sprintf("/p%d/", i%2)), AssumeRolePolicyDocument: &ec2Trust})
	}
	first := get[iamapi.ListRolesResponse](a, &iamapi.ListRolesRequest{PathPrefix: new("/p0/"), MaxItems: new(int32(2))})
	if !*first.IsTruncated || len(first.Roles) != 2 || *first.Roles[1].RoleName != "r2" {
		t.Fatalf("first page: %+v", first.Roles)
	}
	rest := get[iamapi.ListRolesResponse](a, &iamapi.ListRolesRequest{PathPrefix: new("/p0/"), MaxItems: new(int32(2)), Marker: first.Marker})
	if *rest.IsTruncated || len(rest.Roles) != 1 || *rest.Roles[0].RoleName != "r4" || rest.Marker != nil {
		t.Errorf("second page: %+v", rest.Roles)
	}
}

func TestListRolesLooksUpMorePrincipalsThanATransactionMayRead(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	var arns []string
	for i := range 110 {
		u := get[iamapi.CreateUserResponse](a, &iamapi.CreateUserRequest{UserName: new(fmt.Sprintf("u%d", i))}).User
		arns = append(arns, `"`+*u.Arn+`"`)
	}
	for r := range 11 {
		doc := trusts(`"AWS":[` + strings.Join(arns[r*10:r*10+10], ",") + `]`)
		a.must(&iamapi.CreateRoleRequest{RoleName: new(fmt.Sprintf("r%d", r)), AssumeRolePolicyDocument: &doc})
	}
	if n := len(get[iamapi.ListRolesResponse](a, &iamapi.ListRolesRequest{}).Roles); n != 11 {
		t.Errorf("%d roles", n)
	}
}
