package live_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// answers are those of AWS as its API References show them: with XML namespaces, error types with
// their service, and members that are newer than our models.
func answers() map[string]string {
	const meta = `<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>`
	return map[string]string{
		"GetCallerIdentity": `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/Audit/me</Arn><UserId>AROAX:me</UserId><Account>111122223333</Account><Newer>1</Newer></GetCallerIdentityResult>` + meta + `</GetCallerIdentityResponse>`,
		"DescribeAutoScalingGroups": `<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeAutoScalingGroupsResult><AutoScalingGroups><member>
			<AutoScalingGroupName>web</AutoScalingGroupName><DesiredCapacity>2</DesiredCapacity><Newer><member><A>1</A></member></Newer>
			<ServiceLinkedRoleARN>arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling</ServiceLinkedRoleARN>
			<LaunchTemplate><LaunchTemplateId>lt-1</LaunchTemplateId><LaunchTemplateName>web</LaunchTemplateName><Version>$Latest</Version></LaunchTemplate></member></AutoScalingGroups></DescribeAutoScalingGroupsResult>` + meta + `</DescribeAutoScalingGroupsResponse>`,
		"DescribeLaunchTemplateVersions": `<DescribeLaunchTemplateVersionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><launchTemplateVersionSet><item><launchTemplateId>lt-1</launchTemplateId><launchTemplateName>web</launchTemplateName><versionNumber>3</versionNumber>
			<launchTemplateData><imageId>ami-1</imageId><instanceType>t3.micro</instanceType><userData>c2VjcmV0</userData><newer>x</newer><blockDeviceMappingSet><item><deviceName>/dev/xvda</deviceName><ebs><encrypted>true</encrypted><kmsKeyId>alias/web</kmsKeyId><volumeSize>8</volumeSize></ebs></item></blockDeviceMappingSet></launchTemplateData></item></launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>`,
		"DescribeImages":            `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><imagesSet><item><imageId>ami-1</imageId><imageOwnerId>137112412989</imageOwnerId><isPublic>true</isPublic><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-1</snapshotId><volumeSize>8</volumeSize><encrypted>false</encrypted></ebs></item></blockDeviceMapping><newer/></item></imagesSet></DescribeImagesResponse>`,
		"DescribeSnapshots":         `<Response><Errors><Error><Code>InvalidSnapshot.NotFound</Code><Message>The snapshot 'snap-1' does not exist.</Message></Error></Errors><RequestID>r</RequestID></Response>`,
		"GetEbsEncryptionByDefault": `<GetEbsEncryptionByDefaultResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><ebsEncryptionByDefault>true</ebsEncryptionByDefault><sseType>sse-kms</sseType></GetEbsEncryptionByDefaultResponse>`,
		"GetEbsDefaultKmsKeyId":     `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>r</RequestID></Response>`,
		"ListAliases":               `{"Aliases":[{"AliasArn":"a","AliasName":"alias/web","TargetKeyId":"1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73","CreationDate":1.6E9,"Newer":{"a":[1]}}],"Truncated":false}`,
		"DescribeKey":               `{"KeyMetadata":{"AWSAccountId":"111122223333","Arn":"arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73","KeyId":"1a2b3c4d-5e6f-4a2b-8c3d-5e6f1a2b3c73","KeyManager":"CUSTOMER","KeySpec":"SYMMETRIC_DEFAULT","KeyUsage":"ENCRYPT_DECRYPT","KeyState":"Enabled","CreationDate":1.5E9,"Enabled":true,"Newer":7}}`,
		"GetKeyPolicy":              `{"Policy":"{\n  \"Version\" : \"2012-10-17\",\n  \"Statement\" : [ {\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\"AWS\" : \"arn:aws:iam::111122223333:root\"},\n    \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  } ]\n}","PolicyName":"default"}`,
		"ListGrants":                `{"Grants":[],"Truncated":false}`,
		"ListResourceTags":          `{"__type":"com.amazonaws.kms#AccessDeniedException","Message":"User: x is not authorized"}`,
		"DescribeOrganization":      `{"__type":"com.amazonaws.organizations#AWSOrganizationsNotInUseException","Message":"Your account is not a member of an organization."}`,
		"GetRole":                   `<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role><Path>/aws-service-role/autoscaling.amazonaws.com/</Path><RoleName>AWSServiceRoleForAutoScaling</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument><Newer>x</Newer></Role></GetRoleResult>` + meta + `</GetRoleResponse>`,
	}
}

// TestAnswersAsAWSGivesThem reads a group whose key policy leaves its role out.
func TestAnswersAsAWSGivesThem(t *testing.T) {
	var hosts []string
	text := answers()
	client := &http.Client{Transport: roundTrip(func(r *http.Request, service, op string) *http.Response {
		if host := service + " " + r.URL.Host; !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
		body, known := text[op]
		if !known {
			t.Errorf("%s %s was called", service, op)
		}
		status := http.StatusOK
		if strings.Contains(body, "__type") || strings.Contains(body, "<Errors>") {
			status = http.StatusBadRequest
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	})}
	session, err := live.Open(t.Context(), live.Config{HTTP: client, Parallel: 1, Accesses: []live.Access{{
		Name: "test", Region: "eu-west-1",
		Credentials: func(context.Context) (sigv4.Credentials, error) {
			return sigv4.Credentials{AccessKeyID: "AKIAEXAMPLE", Secret: "x", SessionToken: "token"}, nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	launches, err := session.Read(t.Context(), live.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	sc := launches[0].Scenario
	if r := doctor.Check(sc); r.Verdict != "fails" || len(r.Failures) != 1 || r.Failures[0].Rule != "not-in-key-policy" || len(r.Depends) > 0 {
		t.Errorf("%s %+v %q", r.Verdict, r.Failures, r.Depends)
	}
	data, err := sc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"c2VjcmV0", "token", "AKIA"} {
		if strings.Contains(string(data), never) {
			t.Errorf("%q is in the scenario", never)
		}
	}
	if sc.Unknown["/keys/0/tags"] == "" || sc.Unknown["/accounts/0/ebs/eu-west-1/defaultKmsKeyId"] == "" || !sc.Accounts[0].EBS["eu-west-1"].EncryptionByDefault {
		t.Errorf("unknown %q, accounts %+v", sc.Unknown, sc.Accounts)
	}
	slices.Sort(hosts)
	want := []string{
		"autoscaling autoscaling.eu-west-1.amazonaws.com", "ec2 ec2.eu-west-1.amazonaws.com", "iam iam.amazonaws.com", "kms kms.eu-west-1.amazonaws.com",
		"organizations organizations.us-east-1.amazonaws.com", "sts sts.eu-west-1.amazonaws.com",
	}
	if !slices.Equal(hosts, want) {
		t.Errorf("called %q", hosts)
	}
}

// roundTrip answers every request itself.
type roundTrip func(r *http.Request, service, op string) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	var res *http.Response
	t := &transport{answer: func(service, op string) *http.Response {
		res = f(r, service, op)
		return res
	}}
	return t.RoundTrip(r)
}
