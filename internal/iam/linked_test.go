package iam_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/linkedrole"
)

const (
	autoScaling = "autoscaling.amazonaws.com"
	linkedName  = "AWSServiceRoleForAutoScaling"
	linkedARN   = "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
)

func (c *who) createLinked(service, suffix string) *iamapi.Role {
	c.w.t.Helper()
	in := &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &service}
	if suffix != "" {
		in.CustomSuffix = &suffix
	}
	return get[iamapi.CreateServiceLinkedRoleResponse](c, in).Role
}

func TestServiceLinkedRoleIsMadeOfWhatTheServiceWants(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	r := a.createLinked(autoScaling, "")
	if *r.Arn != linkedARN || *r.Path != "/aws-service-role/autoscaling.amazonaws.com/" || *r.RoleName != linkedName || *r.MaxSessionDuration != 3600 {
		t.Errorf("role %+v", r)
	}
	if doc := decoded(t, r.AssumeRolePolicyDocument); !strings.Contains(doc, `"Service":["autoscaling.amazonaws.com"]`) {
		t.Errorf("trust %s", doc)
	}
	attached := get[iamapi.ListAttachedRolePoliciesResponse](a, &iamapi.ListAttachedRolePoliciesRequest{RoleName: new(linkedName)}).AttachedPolicies
	if len(attached) != 1 || *attached[0].PolicyArn != "arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy" {
		t.Errorf("policies %+v", attached)
	}
	for _, tt := range []struct{ service, suffix, want string }{
		{autoScaling, "blue", "AWSServiceRoleForAutoScaling_blue"},
		{"spot.amazonaws.com", "", "AWSServiceRoleForEC2Spot"},
		{"ops.apigateway.amazonaws.com", "", "AWSServiceRoleForAPIGateway"},
		{"made-up.amazonaws.com", "", "AWSServiceRoleForMadeUp"},
	} {
		if got := *a.createLinked(tt.service, tt.suffix).RoleName; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.service, got, tt.want)
		}
	}
}

// TestServiceLinkedRolesOfAllKnownServices makes each role of the table, with a suffix and without.
func TestServiceLinkedRolesOfAllKnownServices(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	all := linkedrole.All()
	if len(all) < 74 {
		t.Errorf("%d services", len(all))
	}
	for service, known := range all {
		t.Run(service, func(t *testing.T) {
			r := a.createLinked(service, "")
			path := "/aws-service-role/" + service + "/"
			if *r.RoleName != known.Name || *r.Path != path || *r.Arn != "arn:aws:iam::111122223333:role"+path+known.Name || *r.MaxSessionDuration != 3600 {
				t.Errorf("role %+v", r)
			}
			trust := decoded(t, r.AssumeRolePolicyDocument)
			if want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Principal":{"Service":["` + service + `"]}}]}`; trust != want {
				t.Errorf("trust %s", trust)
			}
			var got []string
			for _, p := range get[iamapi.ListAttachedRolePoliciesResponse](a, &iamapi.ListAttachedRolePoliciesRequest{RoleName: r.RoleName}).AttachedPolicies {
				if *p.PolicyArn != "arn:aws:iam::aws:policy/aws-service-role/"+*p.PolicyName {
					t.Errorf("policy %s", *p.PolicyArn)
				}
				got = append(got, *p.PolicyName)
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(known.Policies)); !slices.Equal(got, want) {
				t.Errorf("policies %v, want %v", got, want)
			}
			taken := &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &service}
			a.refused(taken, 400, "InvalidInput", "Service role name "+known.Name+" has been taken in this account, please try a different suffix.")
			if known.Suffix {
				if r := a.createLinked(service, "two"); *r.RoleName != known.Name+"_two" || *r.Path != path {
					t.Errorf("role %+v", r)
				}
			} else {
				taken.CustomSuffix = new("two")
				a.refused(taken, 400, "InvalidInput", "Custom suffix is not allowed for "+service)
			}
			a.refused(&iamapi.DeleteRoleRequest{RoleName: &known.Name}, 400, "UnmodifiableEntity", "this role is only modifiable by AWS")
			task := get[iamapi.DeleteServiceLinkedRoleResponse](a, &iamapi.DeleteServiceLinkedRoleRequest{RoleName: &known.Name}).DeletionTaskId
			if want := "task/aws-service-role/" + service + "/" + known.Name + "/"; !strings.HasPrefix(*task, want) {
				t.Errorf("task %s", *task)
			}
			if st := get[iamapi.GetServiceLinkedRoleDeletionStatusResponse](a, &iamapi.GetServiceLinkedRoleDeletionStatusRequest{DeletionTaskId: task}); *st.Status != "SUCCEEDED" {
				t.Errorf("status %s", *st.Status)
			}
		})
	}
}

func TestServiceLinkedRoleErrors(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createLinked(autoScaling, "")
	a.createLinked(autoScaling, "blue")
	a.createRole("mine")
	for _, tt := range []struct {
		rule    string
		in      any
		status  int
		code    string
		message string
	}{
		{"one without suffix", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new(autoScaling)}, 400, "InvalidInput", "Service role name AWSServiceRoleForAutoScaling has been taken in this account, please try a different suffix."},
		{"a suffix is taken whatever its case", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new(autoScaling), CustomSuffix: new("BLUE")}, 400, "InvalidInput", "Service role name AWSServiceRoleForAutoScaling_BLUE has been taken in this account"},
		{"not every service takes a suffix", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("ops.apigateway.amazonaws.com"), CustomSuffix: new("x")}, 400, "InvalidInput", "Custom suffix is not allowed for ops.apigateway.amazonaws.com"},
		{"a suffix is not too long", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new(autoScaling), CustomSuffix: new(strings.Repeat("x", 40))}, 400, "InvalidInput", "longer than 64"},
		{"a service is a service principal", &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: new("autoscaling")}, 400, "InvalidInput", "autoscaling"},
		{"an unknown role is not deleted", &iamapi.DeleteServiceLinkedRoleRequest{RoleName: new("none")}, 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"nor one that is not linked", &iamapi.DeleteServiceLinkedRoleRequest{RoleName: new("mine")}, 400, "InvalidInput", "not a service-linked role"},
		{"a task has an id", &iamapi.GetServiceLinkedRoleDeletionStatusRequest{DeletionTaskId: new("x")}, 400, "InvalidInput", "not the id of a deletion task"},
		{"and exists", &iamapi.GetServiceLinkedRoleDeletionStatusRequest{DeletionTaskId: new("task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/1")}, 404, "NoSuchEntity", "deletion task"},
	} {
		t.Run(tt.rule, func(t *testing.T) { a.refused(tt.in, tt.status, tt.code, tt.message) })
	}
}

func TestServiceLinkedRoleIsProtected(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createLinked(autoScaling, "")
	name := new(linkedName)
	p := a.createPolicy("p")
	a.must(&iamapi.CreateInstanceProfileRequest{InstanceProfileName: new("profile")})
	doc := new(document(allow(`"kms:*"`)))
	want := "Cannot perform the operation on the protected role 'AWSServiceRoleForAutoScaling' - this role is only modifiable by AWS"
	for _, in := range []any{
		&iamapi.AttachRolePolicyRequest{RoleName: name, PolicyArn: &p},
		&iamapi.DetachRolePolicyRequest{RoleName: name, PolicyArn: new("arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy")},
		&iamapi.PutRolePolicyRequest{RoleName: name, PolicyName: new("p"), PolicyDocument: doc},
		&iamapi.DeleteRolePolicyRequest{RoleName: name, PolicyName: new("p")},
		&iamapi.UpdateAssumeRolePolicyRequest{RoleName: name, PolicyDocument: &ec2Trust},
		&iamapi.UpdateRoleRequest{RoleName: name, MaxSessionDuration: new(int32(7200))},
		&iamapi.PutRolePermissionsBoundaryRequest{RoleName: name, PermissionsBoundary: &p},
		&iamapi.DeleteRolePermissionsBoundaryRequest{RoleName: name},
		&iamapi.AddRoleToInstanceProfileRequest{RoleName: name, InstanceProfileName: new("profile")},
		&iamapi.DeleteRoleRequest{RoleName: name},
	} {
		a.refused(in, 400, "UnmodifiableEntity", want)
	}
	a.must(&iamapi.UpdateRoleDescriptionRequest{RoleName: name, Description: new("ours")})
	a.must(&iamapi.UpdateRoleRequest{RoleName: name, Description: new("mine")})
	a.must(&iamapi.TagRoleRequest{RoleName: name, Tags: []iamapi.Tag{{Key: new("team"), Value: new("a")}}})
	a.must(&iamapi.UntagRoleRequest{RoleName: name, TagKeys: []string{"team"}})
	if r := get[iamapi.GetRoleResponse](a, &iamapi.GetRoleRequest{RoleName: name}).Role; *r.Description != "mine" || *r.MaxSessionDuration != 3600 {
		t.Errorf("role %+v", r)
	}
}

func TestServiceLinkedRoleInUseIsNotDeleted(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	first := *a.createLinked(autoScaling, "").RoleId
	w.usage[linkedARN] = map[string][]string{"us-west-2": {"arn:b"}, "eu-west-1": {"arn:a1", "arn:a2"}}
	del := func() *iamapi.GetServiceLinkedRoleDeletionStatusResponse {
		t.Helper()
		id := get[iamapi.DeleteServiceLinkedRoleResponse](a, &iamapi.DeleteServiceLinkedRoleRequest{RoleName: new(linkedName)}).DeletionTaskId
		if !strings.HasPrefix(*id, "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling/") {
			t.Errorf("task id %s", *id)
		}
		return get[iamapi.GetServiceLinkedRoleDeletionStatusResponse](a, &iamapi.GetServiceLinkedRoleDeletionStatusRequest{DeletionTaskId: id})
	}
	st := del()
	want := []iamapi.RoleUsageType{
		{Region: new("eu-west-1"), Resources: []string{"arn:a1", "arn:a2"}}, {Region: new("us-west-2"), Resources: []string{"arn:b"}},
	}
	if *st.Status != "FAILED" || st.Reason == nil || *st.Reason.Reason == "" {
		t.Fatalf("status %s, reason %v", *st.Status, st.Reason)
	}
	if diff := cmp.Diff(want, st.Reason.RoleUsageList); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	delete(w.usage, linkedARN)
	if st := del(); *st.Status != "SUCCEEDED" || st.Reason != nil {
		t.Errorf("status %s", *st.Status)
	}
	a.refused(&iamapi.GetRoleRequest{RoleName: new(linkedName)}, 404, "NoSuchEntity", linkedName)
	if again := *a.createLinked(autoScaling, "").RoleId; again == first {
		t.Error("the role made anew has the old unique id")
	}
}

func TestServiceLinkedRolesAreListedLikeOthers(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	a.createLinked(autoScaling, "")
	a.createRole("mine")
	roles := get[iamapi.ListRolesResponse](a, &iamapi.ListRolesRequest{PathPrefix: new("/aws-service-role/")}).Roles
	if !slices.ContainsFunc(roles, func(r iamapi.Role) bool { return *r.Arn == linkedARN }) || len(roles) != 1 {
		t.Errorf("roles %+v", roles)
	}
}

// TestPoliciesOfTheServicesThatKagimoriPlays proves that the roles whose sessions may act here have
// documents that decide.
func TestPoliciesOfTheServicesThatKagimoriPlays(t *testing.T) {
	w := newWorld(t)
	a := w.admin()
	for _, service := range []string{autoScaling, "spot.amazonaws.com", "spotfleet.amazonaws.com", "ec2fleet.amazonaws.com"} {
		r := a.createLinked(service, "")
		for _, p := range get[iamapi.ListAttachedRolePoliciesResponse](a, &iamapi.ListAttachedRolePoliciesRequest{RoleName: r.RoleName}).AttachedPolicies {
			v := get[iamapi.GetPolicyResponse](a, &iamapi.GetPolicyRequest{PolicyArn: p.PolicyArn}).Policy
			doc := get[iamapi.GetPolicyVersionResponse](a, &iamapi.GetPolicyVersionRequest{PolicyArn: p.PolicyArn, VersionId: v.DefaultVersionId}).PolicyVersion
			if text := decoded(t, doc.Document); !strings.Contains(text, "ec2:RunInstances") || strings.Contains(text, "kms:") {
				t.Errorf("%s: %s", *p.PolicyName, text)
			}
		}
		w.session(*r.RoleName).refused(&iamapi.ListRolesRequest{}, 403, "AccessDenied", "because no identity-based policy allows the iam:ListRoles action")
	}
}
