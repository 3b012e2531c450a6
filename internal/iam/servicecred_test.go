package iam_test

import (
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

// Source: IAM API Reference, ServiceSpecificCredential and ListServiceSpecificCredentials.
func TestCredentialsThatAreKeys(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	w.user("jane")
	w.user("bob")
	make := func(user, service string, days *int32) *iamapi.ServiceSpecificCredential {
		in := &iamapi.CreateServiceSpecificCredentialRequest{UserName: &user, ServiceName: &service, CredentialAgeDays: days}
		return get[iamapi.CreateServiceSpecificCredentialResponse](a, in).ServiceSpecificCredential
	}
	const bedrock, git = "bedrock.amazonaws.com", "codecommit.amazonaws.com"
	key := make("jane", bedrock, new(int32(30)))
	if *key.ServiceCredentialAlias != "jane+1-at-"+account || key.ServiceCredentialSecret == nil || key.ServiceUserName != nil || key.ServicePassword != nil || key.ExpirationDate == nil {
		t.Errorf("the key is %+v", key)
	}
	if second := make("jane", bedrock, nil); *second.ServiceCredentialAlias != "jane+2-at-"+account || second.ExpirationDate != nil {
		t.Errorf("the second key is %+v", second)
	}
	a.must(&iamapi.DeleteServiceSpecificCredentialRequest{UserName: new("jane"), ServiceSpecificCredentialId: key.ServiceSpecificCredentialId})
	if third := make("jane", bedrock, nil); *third.ServiceCredentialAlias != "jane+1-at-"+account {
		t.Errorf("the key after that is %+v", third)
	}
	if first, second := make("bob", git, nil), make("bob", git, nil); *first.ServiceUserName != "bob-at-"+account || *second.ServiceUserName != "bob+1-at-"+account || first.ServiceCredentialAlias != nil {
		t.Errorf("credentials of Git: %+v, %+v", first, second)
	}
	a.refused(&iamapi.CreateServiceSpecificCredentialRequest{UserName: new("jane"), ServiceName: new(git), CredentialAgeDays: new(int32(1))}, 400, "InvalidInput", "CredentialAgeDays")

	list := func(in iamapi.ListServiceSpecificCredentialsRequest) (users, names string, marker *string) {
		in.AllUsers = new(true)
		out := get[iamapi.ListServiceSpecificCredentialsResponse](a, &in)
		for _, v := range out.ServiceSpecificCredentials {
			users += " " + *v.UserName
			for _, n := range []*string{v.ServiceUserName, v.ServiceCredentialAlias} {
				if n != nil {
					names += " " + *n
				}
			}
		}
		return users, names, out.Marker
	}
	if users, _, _ := list(iamapi.ListServiceSpecificCredentialsRequest{ServiceName: new(git)}); users != " bob bob" {
		t.Errorf("credentials of Git are of%s", users)
	}
	seen := 0
	for marker := (*string)(nil); ; {
		users, names, next := list(iamapi.ListServiceSpecificCredentialsRequest{MaxItems: new(int32(3)), Marker: marker})
		if seen++; len(users) == 0 || len(names) == 0 {
			t.Errorf("page %d is of%s:%s", seen, users, names)
		}
		if marker = next; next == nil {
			break
		}
	}
	if seen != 2 {
		t.Errorf("four credentials are on %d pages of three", seen)
	}
	a.refused(&iamapi.ListServiceSpecificCredentialsRequest{UserName: new("bob"), AllUsers: new(true)}, 400, "InvalidInput", "AllUsers")
	w.user("nobody").refused(&iamapi.ListServiceSpecificCredentialsRequest{AllUsers: new(true)}, 403, "AccessDenied", "on resource: arn:aws:iam::"+account+":user/ because")
}
