package awsquery_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/awsquery"
)

func codec(t testing.TB, svc *api.Service) *awsquery.Codec {
	t.Helper()
	c, err := awsquery.New(svc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t testing.TB, svc *api.Service, op, body string) (any, error) {
	t.Helper()
	return codec(t, svc).DecodeRequest(svc.Operations[op], []byte(body))
}

func TestDecode(t *testing.T) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for _, tt := range []struct {
		name, op string
		svc      *api.Service
		body     string
		want     any
	}{
		{"role", "CreateRole", iamapi.Service(),
			"Action=CreateRole&Version=2010-05-08&RoleName=app&Path=%2Fa+b%2F&AssumeRolePolicyDocument=" + url.QueryEscape(trust) +
				"&Tags.member.1.Key=team&Tags.member.1.Value=&Tags.member.2.Key=k%3D&Tags.member.2.Value=v%26&MaxSessionDuration=3600&NoSuchMember=x&Nor.This.1=y",
			&iamapi.CreateRoleRequest{
				RoleName: new("app"), Path: new("/a b/"), AssumeRolePolicyDocument: &trust, MaxSessionDuration: new(int32(3600)),
				Tags: []iamapi.Tag{{Key: new("team"), Value: new("")}, {Key: new("k="), Value: new("v&")}},
			}},
		{"group", "CreateAutoScalingGroup", autoscalingapi.Service(),
			"Action=CreateAutoScalingGroup&AutoScalingGroupName=g&MinSize=0&MaxSize=2&VPCZoneIdentifier=subnet-1%2Csubnet-2" +
				"&LaunchTemplate.LaunchTemplateId=lt-1&LaunchTemplate.Version=%24Latest" +
				"&Tags.member.1.Key=Name&Tags.member.1.Value=web&Tags.member.1.PropagateAtLaunch=true&Tags.member.1.ResourceId=g&Tags.member.1.ResourceType=auto-scaling-group" +
				"&MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType=m5.large" +
				"&MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceRequirements.MemoryGiBPerVCpu.Min=1.5",
			&autoscalingapi.CreateAutoScalingGroupType{
				AutoScalingGroupName: new("g"), MinSize: new(int32(0)), MaxSize: new(int32(2)), VPCZoneIdentifier: new("subnet-1,subnet-2"),
				LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateId: new("lt-1"), Version: new("$Latest")},
				Tags:           []autoscalingapi.Tag{{Key: new("Name"), Value: new("web"), PropagateAtLaunch: new(true), ResourceId: new("g"), ResourceType: new("auto-scaling-group")}},
				MixedInstancesPolicy: &autoscalingapi.MixedInstancesPolicy{LaunchTemplate: &autoscalingapi.LaunchTemplate{
					Overrides: []autoscalingapi.LaunchTemplateOverrides{
						{InstanceType: new("m5.large")},
						{InstanceRequirements: &autoscalingapi.InstanceRequirements{MemoryGiBPerVCpu: &autoscalingapi.MemoryGiBPerVCpuRequest{Min: new(1.5)}}},
					},
				}},
			}},
		{"gaps and order", "UntagRole", iamapi.Service(), "TagKeys.member.10=c&TagKeys.member.2=a&RoleName=r&TagKeys.member.7=b",
			&iamapi.UntagRoleRequest{RoleName: new("r"), TagKeys: []string{"a", "b", "c"}}},
		{"empty list", "UntagRole", iamapi.Service(), "TagKeys=", &iamapi.UntagRoleRequest{TagKeys: []string{}}},
		{"empty list, other form", "UntagRole", iamapi.Service(), "TagKeys.member=", &iamapi.UntagRoleRequest{TagKeys: []string{}}},
		{"nothing", "ListRoles", iamapi.Service(), "&&", &iamapi.ListRolesRequest{}},
		{"value without equals sign", "GetRole", iamapi.Service(), "RoleName", &iamapi.GetRoleRequest{RoleName: new("")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(t, tt.svc, tt.op, tt.body)
			if d := cmp.Diff(tt.want, got); err != nil || d != "" {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	const misplaced = "MalformedInput: The parameter %s does not have the form that its member needs."
	for _, tt := range []struct{ op, body, want string }{
		{"ListRoles", "MaxItems=ten", "MalformedInput: The value 'ten' of parameter MaxItems is not an integer."},
		{"ListRoles", "MaxItems=", "MalformedInput: The value '' of parameter MaxItems is not an integer."},
		{"ListRoles", "MaxItems=99999999999", "MalformedInput: The value '99999999999' of parameter MaxItems is not an integer."},
		{"ListPolicies", "OnlyAttached=yes", "MalformedInput: The value 'yes' of parameter OnlyAttached is not a boolean."},
		{"GetRole", "RoleName=a&RoleName=b", "MalformedQueryString: The request gives a parameter more than once."},
		{"GetRole", "RoleName=%zz", "MalformedQueryString: The query string contains a syntax error."},
		{"GetRole", "Role%=x", "MalformedQueryString: The query string contains a syntax error."},
		{"GetRole", "a..b=x", "MalformedQueryString: The query string contains a syntax error."},
		{"GetRole", "=x", "MalformedQueryString: The query string contains a syntax error."},
		{"GetRole", strings.Repeat("a.", 30) + "b=x", "MalformedQueryString: The query string contains a syntax error."},
		{"GetRole", strings.Repeat("a=b&", 10_001), "MalformedQueryString: The request gives a parameter more than once."},
		{"GetRole", "RoleName.x=1", strings.ReplaceAll(misplaced, "%s", "RoleName")},
		{"TagRole", "Tags=x", strings.ReplaceAll(misplaced, "%s", "Tags")},
		{"TagRole", "Tags.1.Key=x", strings.ReplaceAll(misplaced, "%s", "Tags")},
		{"TagRole", "Tags.member.1.Key=x&Tags.Tag.1.Key=y", strings.ReplaceAll(misplaced, "%s", "Tags")},
		{"TagRole", "Tags.member.x.Key=x", strings.ReplaceAll(misplaced, "%s", "Tags.member.x")},
		{"TagRole", "Tags.member.01.Key=x", strings.ReplaceAll(misplaced, "%s", "Tags.member.01")},
		{"TagRole", "Tags.member.1=x", strings.ReplaceAll(misplaced, "%s", "Tags.member.1")},
		{"TagRole", "Tags.member=x", strings.ReplaceAll(misplaced, "%s", "Tags.member")},
		{"UntagRole", "TagKeys.member.1.Key=x", strings.ReplaceAll(misplaced, "%s", "TagKeys.member.1")},
	} {
		in, err := decode(t, iamapi.Service(), tt.op, tt.body)
		if err == nil || err.Error() != tt.want || in != nil {
			t.Errorf("%.60s\n got %v\nwant %s", tt.body, err, tt.want)
		}
	}
	var many strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&many, "p%d=1&", i)
	}
	if _, err := decode(t, iamapi.Service(), "GetRole", many.String()); err == nil || err.Error() != "MalformedQueryString: The request has too many parameters." {
		t.Errorf("too many parameters: %v", err)
	}
}

func TestEncode(t *testing.T) {
	at := new(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	for _, tt := range []struct {
		svc  *api.Service
		op   string
		out  any
		want string
	}{
		{stsapi.Service(), "AssumeRole", &stsapi.AssumeRoleResponse{Credentials: &stsapi.Credentials{
			AccessKeyId: new("ASIA"), SecretAccessKey: new(secret.String("s3cr<t")), SessionToken: new("a\x00b\r\n"), Expiration: at,
		}}, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>` +
			`<SecretAccessKey>s3cr&lt;t</SecretAccessKey><SessionToken>a` + "\uFFFD" + `b&#xD;` + "\n" + `</SessionToken><Expiration>2026-03-04T05:06:07Z</Expiration></Credentials></AssumeRoleResult>` +
			`<ResponseMetadata><RequestId>r&lt;1</RequestId></ResponseMetadata></AssumeRoleResponse>`},
		{autoscalingapi.Service(), "DescribeScalingActivities", &autoscalingapi.ActivitiesType{Activities: []autoscalingapi.Activity{
			{ActivityId: new("a"), StartTime: new(at.Add(7 * time.Millisecond)), Progress: new(int32(50))},
		}}, `<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeScalingActivitiesResult><Activities><member>` +
			`<ActivityId>a</ActivityId><StartTime>2026-03-04T05:06:07.007Z</StartTime><Progress>50</Progress></member></Activities></DescribeScalingActivitiesResult>` +
			`<ResponseMetadata><RequestId>r&lt;1</RequestId></ResponseMetadata></DescribeScalingActivitiesResponse>`},
		{iamapi.Service(), "ListRolePolicies", &iamapi.ListRolePoliciesResponse{PolicyNames: []string{}, IsTruncated: new(false)},
			`<ListRolePoliciesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListRolePoliciesResult><PolicyNames/><IsTruncated>false</IsTruncated></ListRolePoliciesResult>` +
				`<ResponseMetadata><RequestId>r&lt;1</RequestId></ResponseMetadata></ListRolePoliciesResponse>`},
	} {
		got, err := codec(t, tt.svc).EncodeResponse(tt.svc.Operations[tt.op], tt.out, "r<1")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.op, err, got, tt.want)
		}
	}
	c := codec(t, iamapi.Service())
	if _, err := c.EncodeResponse(iamapi.Service().Operations["GetRole"], 1, ""); err == nil {
		t.Error("a number was encoded")
	}
}

func TestEncodeError(t *testing.T) {
	c := codec(t, iamapi.Service())
	got := string(c.EncodeError(wire.Fault{Code: "NoSuchEntity", Message: "a & b"}, "r-1"))
	want := `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>a &amp; b</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := string(awsquery.EncodeError("", wire.Fault{Code: "X", Server: true}, "r")); !strings.HasPrefix(got, "<ErrorResponse><Error><Type>Receiver</Type>") {
		t.Errorf("got %s", got)
	}
}

func TestBadAnswers(t *testing.T) {
	svc := iamapi.Service()
	c, op := codec(t, svc), svc.Operations["GetRole"]
	for _, body := range []string{
		"", "{}", "<a>", "<a/><b/>", "<GetRoleResponse/>", strings.Repeat("<a>", 100),
		"<GetRoleResponse><GetRoleResult><Role><CreateDate>yesterday</CreateDate></Role></GetRoleResult></GetRoleResponse>",
	} {
		if err := c.DecodeResponse(op, []byte(body), new(iamapi.GetRoleResponse)); err == nil {
			t.Errorf("%.40q was accepted", body)
		}
	}
	if _, err := awsquery.New(kmsapi.Service()); err == nil {
		t.Error("kms was accepted")
	}
}

// FuzzDecode: whatever decodes encodes to something that decodes to the same, but for structures
// without members, which parameters cannot carry.
func FuzzDecode(f *testing.F) {
	f.Add("CreateRole", "RoleName=r&Tags.member.1.Key=a&Tags.member.1.Value=b")
	f.Add("UntagRole", "TagKeys=&RoleName=%F0%9F%94%91")
	f.Add("ListPolicies", "OnlyAttached=TRUE&MaxItems=7&Scope=+")
	f.Add("UntagRole", "TagKeys.member.3=a&TagKeys.member.2=b&a.b.c=d")
	f.Add("CreateRole", "Tags.member.1.Nothing=x")
	svc := iamapi.Service()
	c := codec(f, svc)
	f.Fuzz(func(t *testing.T, name, body string) {
		op := svc.Operations[name]
		if op == nil {
			return
		}
		in, err := c.DecodeRequest(op, []byte(body))
		if err != nil {
			if apierr.Code(err) == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		_ = c.Table().Validate(in)
		once, _, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.DecodeRequest(op, once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, _, err := c.EncodeRequest(op, back)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
