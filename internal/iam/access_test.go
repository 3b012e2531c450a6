package iam_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/iam"
)

// used are calls, newest first.
func used(all ...iam.Use) iam.Uses {
	return func(context.Context, string, time.Time) iter.Seq2[iam.Use, error] {
		return func(yield func(iam.Use, error) bool) {
			for _, u := range all {
				if !yield(u, nil) {
					return
				}
			}
		}
	}
}

const ana, bob = "arn:aws:iam::111122223333:user/ana", "arn:aws:iam::111122223333:user/bob"

// accessWorld has two users in a group that may do something with KMS and EC2.
func accessWorld(t *testing.T) (*world, *who) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	w := newWorld(t, func(cfg *iam.Config) {
		cfg.Uses = used(
			iam.Use{Principal: bob, Service: "kms", Action: "Decrypt", Region: "eu-west-1", At: now},
			iam.Use{Principal: ana, Service: "kms", Action: "Encrypt", Region: "us-east-1", At: now.Add(-time.Hour)},
			iam.Use{Principal: ana, Service: "kms", Action: "Decrypt", Region: "us-east-1", At: now.Add(-2 * time.Hour)},
			iam.Use{Principal: ana, Service: "s3", Action: "GetObject", Region: "us-east-1", At: now.Add(-3 * time.Hour)},
		)
	})
	a := w.login(account + "ADMIN")
	a.must(&iamapi.CreateGroupRequest{GroupName: new("team")})
	for _, name := range []string{"ana", "bob"} {
		a.must(&iamapi.CreateUserRequest{UserName: &name})
		a.must(&iamapi.AddUserToGroupRequest{GroupName: new("team"), UserName: &name})
	}
	a.must(&iamapi.PutGroupPolicyRequest{GroupName: new("team"), PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","ec2:Describe*"],"Resource":"*"}}`)})
	return w, a
}

func TestServiceLastAccessedDetails(t *testing.T) {
	_, a := accessWorld(t)
	group := get[iamapi.GenerateServiceLastAccessedDetailsResponse](a, &iamapi.GenerateServiceLastAccessedDetailsRequest{
		Arn: new("arn:aws:iam::111122223333:group/team"), Granularity: new("ACTION_LEVEL"),
	})
	out := get[iamapi.GetServiceLastAccessedDetailsResponse](a, &iamapi.GetServiceLastAccessedDetailsRequest{JobId: group.JobId})
	if *out.JobStatus != "COMPLETED" || *out.JobType != "ACTION_LEVEL" || *out.IsTruncated || len(out.ServicesLastAccessed) != 2 {
		t.Fatalf("report %+v", out)
	}
	ec2, kms := out.ServicesLastAccessed[0], out.ServicesLastAccessed[1]
	if *ec2.ServiceNamespace != "ec2" || ec2.LastAuthenticated != nil || *ec2.TotalAuthenticatedEntities != 0 {
		t.Errorf("ec2 %+v", ec2)
	}
	if *kms.ServiceNamespace != "kms" || *kms.LastAuthenticatedEntity != bob || *kms.LastAuthenticatedRegion != "eu-west-1" || *kms.TotalAuthenticatedEntities != 2 {
		t.Errorf("kms %+v", kms)
	}
	var tracked []string
	for _, x := range kms.TrackedActionsLastAccessed {
		tracked = append(tracked, *x.ActionName+" "+*x.LastAccessedEntity)
	}
	if !slices.Equal(tracked, []string{"Decrypt " + bob, "Encrypt " + ana}) {
		t.Errorf("actions %v", tracked)
	}
	who := get[iamapi.GetServiceLastAccessedDetailsWithEntitiesResponse](a, &iamapi.GetServiceLastAccessedDetailsWithEntitiesRequest{JobId: group.JobId, ServiceNamespace: new("kms"), MaxItems: new(int32(1))})
	if len(who.EntityDetailsList) != 1 || *who.EntityDetailsList[0].EntityInfo.Arn != ana || who.EntityDetailsList[0].LastAuthenticated == nil || !*who.IsTruncated {
		t.Errorf("entities %+v", who)
	}
	who = get[iamapi.GetServiceLastAccessedDetailsWithEntitiesResponse](a, &iamapi.GetServiceLastAccessedDetailsWithEntitiesRequest{JobId: group.JobId, ServiceNamespace: new("kms"), Marker: who.Marker})
	if len(who.EntityDetailsList) != 1 || *who.EntityDetailsList[0].EntityInfo.Name != "bob" {
		t.Errorf("the rest %+v", who)
	}
	a.refused(&iamapi.GetServiceLastAccessedDetailsRequest{JobId: new("11111111-1111-1111-1111-111111111111")}, 404, "NoSuchEntity", "Job")
	a.refused(&iamapi.GetServiceLastAccessedDetailsWithEntitiesRequest{JobId: group.JobId, ServiceNamespace: new("s3")}, 400, "InvalidInput", "s3")
	a.refused(&iamapi.GenerateServiceLastAccessedDetailsRequest{Arn: new("arn:aws:iam::111122223333:root/x/y")}, 400, "InvalidInput", "Invalid Arn")
	a.refused(&iamapi.GenerateServiceLastAccessedDetailsRequest{Arn: new("arn:aws:iam::111122223333:user/nobody")}, 404, "NoSuchEntity", "nobody")
}

// Services have AWS's names, also those that kagimori does not have; of a few only the namespace is known.
func TestAccessedServicesHaveNames(t *testing.T) {
	_, a := accessWorld(t)
	a.must(&iamapi.PutGroupPolicyRequest{GroupName: new("team"), PolicyName: new("p"),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["lambda:*","s3:*","iam:*","a2c:*"],"Resource":"*"}}`)})
	job := get[iamapi.GenerateServiceLastAccessedDetailsResponse](a, &iamapi.GenerateServiceLastAccessedDetailsRequest{Arn: new("arn:aws:iam::111122223333:group/team")})
	got := map[string]string{}
	for _, x := range get[iamapi.GetServiceLastAccessedDetailsResponse](a, &iamapi.GetServiceLastAccessedDetailsRequest{JobId: job.JobId}).ServicesLastAccessed {
		got[*x.ServiceNamespace] = *x.ServiceName
	}
	want := map[string]string{"lambda": "AWS Lambda", "s3": "Amazon Simple Storage Service", "iam": "AWS Identity and Access Management", "a2c": "a2c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOrganizationsAccessReport(t *testing.T) {
	w, _ := accessWorld(t)
	m := w.login(directory.DevAccount + "ADMIN")
	root := directory.DevOrganization + "/r-kgmr"
	job := get[iamapi.GenerateOrganizationsAccessReportResponse](m, &iamapi.GenerateOrganizationsAccessReportRequest{EntityPath: new(root + "/" + account)})
	ask := &iamapi.GetOrganizationsAccessReportRequest{JobId: job.JobId, SortKey: new("LAST_AUTHENTICATED_TIME_DESCENDING"), MaxItems: new(int32(1))}
	out := get[iamapi.GetOrganizationsAccessReportResponse](m, ask)
	if len(out.AccessDetails) != 1 || *out.AccessDetails[0].ServiceNamespace != "kms" || *out.AccessDetails[0].EntityPath != root+"/"+account ||
		*out.NumberOfServicesNotAccessed != *out.NumberOfServicesAccessible-2 || !*out.IsTruncated {
		t.Errorf("report %+v", out)
	}
	ask.Marker = out.Marker
	if out = get[iamapi.GetOrganizationsAccessReportResponse](m, ask); *out.AccessDetails[0].ServiceNamespace != "s3" {
		t.Errorf("second %+v", out.AccessDetails)
	}
	m.refused(&iamapi.GenerateOrganizationsAccessReportRequest{EntityPath: new("o-another0000/r-kgmr")}, 400, "ValidationError", "does not exist")
	w.login(account+"ADMIN").refused(&iamapi.GenerateOrganizationsAccessReportRequest{EntityPath: &root}, 403, "AccessDenied", "management account")
	m.refused(&iamapi.GetOrganizationsAccessReportRequest{JobId: new("11111111-1111-1111-1111-111111111111")}, 404, "NoSuchEntity", "Job")
}

func TestTokenPreferences(t *testing.T) {
	w := newWorld(t)
	a := w.login(account + "ADMIN")
	version := func() int32 {
		return get[iamapi.GetAccountSummaryResponse](a, &iamapi.GetAccountSummaryRequest{}).SummaryMap["GlobalEndpointTokenVersion"]
	}
	if v := version(); v != 1 {
		t.Errorf("at first it is %d", v)
	}
	a.must(&iamapi.SetSecurityTokenServicePreferencesRequest{GlobalEndpointTokenVersion: new("v2Token")})
	if v := version(); v != 2 {
		t.Errorf("then it is %d", v)
	}
}
