package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/iamapi"
)

func (c *who) createProfile(name string) *iamapi.InstanceProfile {
	c.w.t.Helper()
	return get[iamapi.CreateInstanceProfileResponse](c, &iamapi.CreateInstanceProfileRequest{InstanceProfileName: &name}).InstanceProfile
}

func (c *who) profile(name string) *iamapi.InstanceProfile {
	c.w.t.Helper()
	return get[iamapi.GetInstanceProfileResponse](c, &iamapi.GetInstanceProfileRequest{InstanceProfileName: &name}).InstanceProfile
}

func TestInstanceProfileIsShownAsItWasMade(t *testing.T) {
	a := newWorld(t).admin()
	made := get[iamapi.CreateInstanceProfileResponse](a, &iamapi.CreateInstanceProfileRequest{
		InstanceProfileName: new("Web"), Path: new("/team/"), Tags: tagList("Team=blue"),
	}).InstanceProfile
	if *made.Arn != "arn:aws:iam::111122223333:instance-profile/team/Web" || !strings.HasPrefix(*made.InstanceProfileId, "AIPA") ||
		made.CreateDate == nil || made.Roles == nil || len(made.Roles) != 0 {
		t.Errorf("made %+v", made)
	}
	if diff := cmp.Diff(made, a.profile("wEB")); diff != "" {
		t.Errorf("made and seen differ (-made +seen):\n%s", diff)
	}
	a.refused(&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("WEB")}, 409, "EntityAlreadyExists", "Instance Profile WEB already exists.")
	a.refused(&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("x"), Path: new("/aws-service-role/x/")}, 400, "InvalidInput", "reserved")
	a.refused(&iamapi.GetInstanceProfileRequest{InstanceProfileName: new("none")}, 404, "NoSuchEntity", "Instance Profile none cannot be found.")
	a.must(&iamapi.DeleteInstanceProfileRequest{InstanceProfileName: new("web")})
	a.refused(&iamapi.DeleteInstanceProfileRequest{InstanceProfileName: new("web")}, 404, "NoSuchEntity", "Instance Profile web cannot be found.")
}

func TestInstanceProfileHoldsOneRoleThatCannotGo(t *testing.T) {
	a := newWorld(t).admin()
	a.createProfile("p")
	a.createProfile("q")
	role := a.createRole("Web")
	a.createRole("other")
	add := func(profile, role string) *iamapi.AddRoleToInstanceProfileRequest {
		return &iamapi.AddRoleToInstanceProfileRequest{InstanceProfileName: &profile, RoleName: &role}
	}
	a.refused(add("p", "none"), 404, "NoSuchEntity", "The role with name none cannot be found.")
	a.refused(add("none", "Web"), 404, "NoSuchEntity", "Instance Profile none cannot be found.")
	a.must(add("p", "web"))
	a.must(add("q", "Web"))
	a.refused(add("p", "other"), 409, "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")

	if got := a.profile("p").Roles; len(got) != 1 || *got[0].Arn != *role.Arn || *got[0].RoleId != *role.RoleId {
		t.Errorf("roles of the profile: %+v", got)
	} else if doc := decoded(t, got[0].AssumeRolePolicyDocument); doc != ec2Trust {
		t.Errorf("trust policy of the role: %s", doc)
	}
	var of []string
	for _, p := range get[iamapi.ListInstanceProfilesForRoleResponse](a, &iamapi.ListInstanceProfilesForRoleRequest{RoleName: new("Web")}).InstanceProfiles {
		of = append(of, *p.InstanceProfileName)
	}
	if diff := cmp.Diff([]string{"p", "q"}, of); diff != "" {
		t.Errorf("profiles of the role: %s", diff)
	}

	const first = "Cannot delete entity, must remove roles from instance profile first."
	a.refused(&iamapi.DeleteRoleRequest{RoleName: new("Web")}, 409, "DeleteConflict", first)
	a.refused(&iamapi.DeleteInstanceProfileRequest{InstanceProfileName: new("p")}, 409, "DeleteConflict", first)
	remove := func(profile, role string) *iamapi.RemoveRoleFromInstanceProfileRequest {
		return &iamapi.RemoveRoleFromInstanceProfileRequest{InstanceProfileName: &profile, RoleName: &role}
	}
	a.refused(remove("p", "other"), 404, "NoSuchEntity", "other")
	a.must(remove("p", "WEB"))
	a.refused(remove("p", "Web"), 404, "NoSuchEntity", "Web")
	a.must(&iamapi.DeleteInstanceProfileRequest{InstanceProfileName: new("p")})
	a.refused(&iamapi.DeleteRoleRequest{RoleName: new("Web")}, 409, "DeleteConflict", first)
	a.must(remove("q", "Web"))
	a.must(&iamapi.DeleteRoleRequest{RoleName: new("Web")})
}

func TestServiceLinkedRolesAreInNoInstanceProfile(t *testing.T) {
	a := newWorld(t).admin()
	a.createProfile("p")
	a.must(&iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling.amazonaws.com")})
	a.refused(&iamapi.AddRoleToInstanceProfileRequest{InstanceProfileName: new("p"), RoleName: new("AWSServiceRoleForAutoScaling")},
		400, "UnmodifiableEntity", "AWSServiceRoleForAutoScaling")
}

// A role gets to EC2 in a profile, so who puts it there needs the right to pass it to EC2.
func TestAddingARoleNeedsPassRole(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createProfile("p")
	a.createRole("r")
	in := &iamapi.AddRoleToInstanceProfileRequest{InstanceProfileName: new("p"), RoleName: new("r")}
	w.user("add", allow(`"iam:AddRoleToInstanceProfile"`)).refused(in, 403, "AccessDenied", "iam:PassRole on resource: arn:aws:iam::111122223333:role/r")
	w.user("pass", allow(`"iam:PassRole"`)).refused(in, 403, "AccessDenied", "iam:AddRoleToInstanceProfile on resource: arn:aws:iam::111122223333:instance-profile/p")
	w.user("wrong", allow(`"iam:AddRoleToInstanceProfile"`), when(`"iam:PassRole"`, `{"StringEquals":{"iam:PassedToService":"lambda.amazonaws.com"}}`)).
		refused(in, 403, "AccessDenied", "iam:PassRole")
	w.user("right", allow(`"iam:AddRoleToInstanceProfile"`), when(`"iam:PassRole"`, `{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`)).must(in)
}

func TestInstanceProfileTags(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createProfile("p")
	a.must(&iamapi.TagInstanceProfileRequest{InstanceProfileName: new("p"), Tags: tagList("Team=blue", "env=test")})
	a.must(&iamapi.UntagInstanceProfileRequest{InstanceProfileName: new("p"), TagKeys: []string{"ENV", "none"}})
	got := get[iamapi.ListInstanceProfileTagsResponse](a, &iamapi.ListInstanceProfileTagsRequest{InstanceProfileName: new("p")}).Tags
	if diff := cmp.Diff(tagList("Team=blue"), got); diff != "" {
		t.Error(diff)
	}
	a.createProfile("plain")
	u := w.user("u", when(`"iam:GetInstanceProfile"`, `{"StringEquals":{"aws:ResourceTag/Team":"blue"}}`))
	u.must(&iamapi.GetInstanceProfileRequest{InstanceProfileName: new("p")})
	u.refused(&iamapi.GetInstanceProfileRequest{InstanceProfileName: new("plain")}, 403, "AccessDenied", "iam:GetInstanceProfile")
}

func TestListInstanceProfilesPagesUnderAPath(t *testing.T) {
	a := newWorld(t).admin()
	want := []string{}
	for i := range 5 {
		name := fmt.Sprintf("P%d", i)
		want = append(want, name)
		a.must(&iamapi.CreateInstanceProfileRequest{InstanceProfileName: &name, Path: new("/team/")})
		a.createProfile(fmt.Sprintf("other%d", i))
	}
	got, in := []string{}, &iamapi.ListInstanceProfilesRequest{PathPrefix: new("/team/"), MaxItems: new(int32(2))}
	for range 4 {
		out := get[iamapi.ListInstanceProfilesResponse](a, in)
		for _, p := range out.InstanceProfiles {
			got = append(got, *p.InstanceProfileName)
		}
		if in.Marker = out.Marker; !*out.IsTruncated {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	a.refused(&iamapi.ListInstanceProfilesRequest{Marker: new("x")}, 400, "ValidationError", "Marker")
}
