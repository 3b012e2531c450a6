package iam_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/directory"
)

func TestUserIsShownAsItWasMade(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bound := a.createPolicy("bound")
	made := get[iamapi.CreateUserResponse](a, &iamapi.CreateUserRequest{
		UserName: new("Alice"), Path: new("/team/"), PermissionsBoundary: &bound,
		Tags: []iamapi.Tag{{Key: new("Team"), Value: new("blue")}},
	}).User
	seen := get[iamapi.GetUserResponse](a, &iamapi.GetUserRequest{UserName: new("aLICE")}).User
	if diff := cmp.Diff(made, seen); diff != "" {
		t.Errorf("made and seen differ (-made +seen):\n%s", diff)
	}
	if *seen.Arn != "arn:aws:iam::111122223333:user/team/Alice" || !strings.HasPrefix(*seen.UserId, "AIDA") || len(*seen.UserId) != 21 {
		t.Errorf("ARN %s, id %s", *seen.Arn, *seen.UserId)
	}
	if b := seen.PermissionsBoundary; b == nil || *b.PermissionsBoundaryArn != bound || *b.PermissionsBoundaryType != "Policy" {
		t.Errorf("boundary %+v", b)
	}
	if *seen.Tags[0].Key != "Team" {
		t.Errorf("tags %v", seen.Tags)
	}
}

func TestGetUserWithoutName(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	if u := get[iamapi.GetUserResponse](a, &iamapi.GetUserRequest{}).User; *u.UserName != "admin" {
		t.Errorf("admin is shown as %s", *u.UserName)
	}
	u := get[iamapi.GetUserResponse](w.root(), &iamapi.GetUserRequest{}).User
	if *u.Arn != "arn:aws:iam::111122223333:root" || *u.UserId != account || u.UserName != nil || u.CreateDate == nil {
		t.Errorf("root is shown as %+v", u)
	}
	a.createRole("r")
	w.session("r").refused(&iamapi.GetUserRequest{}, 400, "ValidationError", "Must specify userName when calling with non-User credentials")
	w.session("r").refused(&iamapi.CreateAccessKeyRequest{}, 400, "ValidationError", "Must specify userName")
}

func TestUserErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("bob")})
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"a name is taken whatever its case", &iamapi.CreateUserRequest{UserName: new("BOB")}, 409, "EntityAlreadyExists", "User with name BOB already exists."},
		{"an unknown user cannot be read", &iamapi.GetUserRequest{UserName: new("eve")}, 404, "NoSuchEntity", "The user with name eve cannot be found."},
		{"or deleted", &iamapi.DeleteUserRequest{UserName: new("eve")}, 404, "NoSuchEntity", "The user with name eve cannot be found."},
		{"a name has a form", &iamapi.CreateUserRequest{UserName: new("a b")}, 400, "ValidationError", "userName"},
		{"a boundary exists", &iamapi.CreateUserRequest{UserName: new("c"), PermissionsBoundary: new("arn:aws:iam::111122223333:policy/no")}, 404, "NoSuchEntity", "Scope ARN: arn:aws:iam::111122223333:policy/no does not exist or is not attachable."},
		{"a boundary is a policy", &iamapi.CreateUserRequest{UserName: new("c"), PermissionsBoundary: new("arn:aws:iam::111122223333:role/no")}, 400, "InvalidInput", "is not valid"},
		{"AWS keeps paths for itself", &iamapi.CreateUserRequest{UserName: new("c"), Path: new("/aws-reserved/x/")}, 400, "InvalidInput", "reserved"},
		{"tags are unique", &iamapi.CreateUserRequest{UserName: new("c"), Tags: []iamapi.Tag{{Key: new("a"), Value: new("")}, {Key: new("A"), Value: new("")}}}, 400, "InvalidInput", "Duplicate tag keys found."},
		{"a marker is one of ours", &iamapi.ListUsersRequest{Marker: new("abc")}, 400, "ValidationError", "Invalid Marker."},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
	if users := get[iamapi.ListUsersResponse](a, &iamapi.ListUsersRequest{}).Users; len(users) != 2 {
		t.Errorf("refused requests left %d users, want admin and bob", len(users))
	}
}

func TestUserIsDeletedWhenNothingHangsOnIt(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	bound := a.createPolicy("bound")
	a.must(&iamapi.CreateUserRequest{UserName: new("u"), PermissionsBoundary: &bound})
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: new("u")}).AccessKey
	a.must(&iamapi.PutUserPolicyRequest{UserName: new("u"), PolicyName: new("p"), PolicyDocument: new(document(allow(`"s3:*"`)))})
	a.must(&iamapi.AttachUserPolicyRequest{UserName: new("u"), PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")})
	del := &iamapi.DeleteUserRequest{UserName: new("u")}
	a.refused(del, 409, "DeleteConflict", "must delete access keys first")
	a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("u"), AccessKeyId: key.AccessKeyId})
	a.refused(del, 409, "DeleteConflict", "must detach all policies first")
	a.must(&iamapi.DetachUserPolicyRequest{UserName: new("u"), PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")})
	a.refused(del, 409, "DeleteConflict", "must delete policies first")
	a.must(&iamapi.DeleteUserPolicyRequest{UserName: new("u"), PolicyName: new("P")})
	a.refused(&iamapi.DeletePolicyRequest{PolicyArn: &bound}, 409, "DeleteConflict", "Cannot delete a policy attached to entities.")
	a.must(del)
	a.refused(&iamapi.GetUserRequest{UserName: new("u")}, 404, "NoSuchEntity", "u")
	a.must(&iamapi.DeletePolicyRequest{PolicyArn: &bound})
}

func TestListUsersPagesByNameUnderAPath(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	for _, n := range []string{"c", "B", "a", "d"} {
		path := "/x/"
		if n == "d" {
			path = "/y/"
		}
		a.must(&iamapi.CreateUserRequest{UserName: &n, Path: &path, Tags: []iamapi.Tag{{Key: new("k"), Value: new("v")}}})
	}
	var names []string
	in := &iamapi.ListUsersRequest{PathPrefix: new("/x"), MaxItems: new(int32(2))}
	for range 5 {
		out := get[iamapi.ListUsersResponse](a, in)
		for _, u := range out.Users {
			names = append(names, *u.UserName)
			if u.Tags != nil {
				t.Errorf("list shows tags of %s", *u.UserName)
			}
		}
		if !*out.IsTruncated {
			break
		}
		in.Marker = out.Marker
	}
	if got := strings.Join(names, " "); got != "a B c" {
		t.Errorf("got %q", got)
	}
	first := get[iamapi.ListUsersResponse](a, &iamapi.ListUsersRequest{MaxItems: new(int32(1))})
	a.refused(&iamapi.ListRolesRequest{Marker: first.Marker}, 400, "ValidationError", "Invalid Marker.")
}

func TestAccessKeyWorksUntilItIsInactive(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("U")})
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: new("u")}).AccessKey
	if *key.UserName != "U" || *key.Status != "Active" || !strings.HasPrefix(*key.AccessKeyId, "AKIA") || len(key.SecretAccessKey.Reveal()) != 40 {
		t.Errorf("key %s of %s is %s", *key.AccessKeyId, *key.UserName, *key.Status)
	}
	sec, id, err := w.dir.Lookup(t.Context(), *key.AccessKeyId, "")
	if err != nil || sec != *key.SecretAccessKey || id.Principal.Username != "U" {
		t.Errorf("lookup: %v, %v", id.Principal, err)
	}
	set := func(status string) {
		a.must(&iamapi.UpdateAccessKeyRequest{UserName: new("u"), AccessKeyId: key.AccessKeyId, Status: &status})
	}
	set("Inactive")
	if _, _, err := w.dir.Lookup(t.Context(), *key.AccessKeyId, ""); err != directory.ErrUnknownAccessKey {
		t.Errorf("inactive key: %v", err)
	}
	if l := get[iamapi.ListAccessKeysResponse](a, &iamapi.ListAccessKeysRequest{UserName: new("u")}).AccessKeyMetadata; len(l) != 1 || *l[0].Status != "Inactive" {
		t.Errorf("list: %+v", l)
	}
	set("Active")
	w.login(*key.AccessKeyId)
	a.must(&iamapi.CreateAccessKeyRequest{UserName: new("u")})
	a.refused(&iamapi.CreateAccessKeyRequest{UserName: new("u")}, 409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
	a.refused(&iamapi.UpdateAccessKeyRequest{UserName: new("u"), AccessKeyId: key.AccessKeyId, Status: new("Expired")}, 400, "ValidationError", "Active or Inactive")
	a.refused(&iamapi.DeleteAccessKeyRequest{AccessKeyId: key.AccessKeyId}, 404, "NoSuchEntity", "The Access Key with id "+*key.AccessKeyId+" cannot be found.")
	a.must(&iamapi.DeleteAccessKeyRequest{UserName: new("u"), AccessKeyId: key.AccessKeyId})
	if l := get[iamapi.ListAccessKeysResponse](a, &iamapi.ListAccessKeysRequest{UserName: new("u")}).AccessKeyMetadata; len(l) != 1 {
		t.Errorf("%d keys left", len(l))
	}
}

func TestRootHasItsOwnAccessKeys(t *testing.T) {
	w := newWorld(t)
	r := w.root()
	key := get[iamapi.CreateAccessKeyResponse](r, &iamapi.CreateAccessKeyRequest{}).AccessKey
	if me := w.login(*key.AccessKeyId); me.caller.Principal.ARN != "arn:aws:iam::111122223333:root" {
		t.Errorf("key is of %s", me.caller.Principal.ARN)
	}
	w.admin().refused(&iamapi.DeleteAccessKeyRequest{AccessKeyId: key.AccessKeyId}, 404, "NoSuchEntity", "cannot be found")
	r.must(&iamapi.DeleteAccessKeyRequest{AccessKeyId: key.AccessKeyId})
}

func TestSecretIsNotInTheTrail(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.must(&iamapi.CreateUserRequest{UserName: new("u")})
	key := get[iamapi.CreateAccessKeyResponse](a, &iamapi.CreateAccessKeyRequest{UserName: new("u")}).AccessKey
	recs := w.records(t)
	shown := false
	for _, r := range recs {
		text := string(r.ResponseElements) + string(r.RequestParameters)
		shown = shown || strings.Contains(text, *key.AccessKeyId)
		if strings.Contains(text, key.SecretAccessKey.Reveal()) {
			t.Error("the secret is in the trail")
		}
	}
	if !shown {
		t.Errorf("none of %d records shows the new key's id", len(recs))
	}
}
