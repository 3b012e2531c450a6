package managed_test

import (
	"regexp"
	"testing"

	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/policy"
)

// TestPolicies checks the data: each policy is one that IAM could have, and its document can be read.
func TestPolicies(t *testing.T) {
	seen, n := map[string]bool{}, 0
	id := regexp.MustCompile(`^ANPA[A-Z0-9]{17}$`)
	path, version := regexp.MustCompile(`^/([a-z-]+/)?$`), regexp.MustCompile(`^v[1-9][0-9]*$`)
	last := ""
	for p := range managed.All() {
		n++
		if managed.Compare(last, p.Name) >= 0 {
			t.Errorf("%s comes before %s", last, p.Name)
		}
		last = p.Name
		if !id.MatchString(p.ID) || seen[p.ID] {
			t.Errorf("%s has the id %q", p.Name, p.ID)
		}
		seen[p.ID] = true
		if !path.MatchString(p.Path) || !version.MatchString(p.Version) || p.ARN != "arn:aws:iam::aws:policy"+p.Path+p.Name || managed.Find(p.ARN) != p {
			t.Errorf("%s%s %s", p.Path, p.Name, p.Version)
		}
		if p.Created.IsZero() || p.Updated.Before(p.Created) || p.Version == "v1" && !p.Updated.Equal(p.Created) || p.Version != "v1" && p.Updated.Equal(p.Created) {
			t.Errorf("%s %s was made %s and changed %s", p.Name, p.Version, p.Created, p.Updated)
		}
		if _, err := policy.Parse([]byte(p.Document()), policy.Identity); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if n < 1500 {
		t.Errorf("%d policies", n)
	}
	if p := managed.Find("arn:aws:iam::aws:policy/AWSLambdaFullAccess"); p != nil {
		t.Errorf("%+v was withdrawn", p)
	}
}

// TestKnown: what a stranger most often attaches is there. The facts are those of the AWS Managed Policy Reference, so
// that a document which slid to another policy's place is seen.
func TestKnown(t *testing.T) {
	for arn, want := range map[string]struct {
		version, made string
		says          string
	}{
		"AdministratorAccess":                             {"v1", "2015-02-06T18:39:46Z", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
		"aws-service-role/AutoScalingServiceRolePolicy":   {"v10", "2018-01-08T23:10:55Z", `"Sid":"EC2InstanceManagement"`},
		"aws-service-role/AWSEC2SpotServiceRolePolicy":    {"v4", "2017-09-18T18:51:54Z", `ec2:RunInstances`},
		"AWSKeyManagementServicePowerUser":                {"v2", "2015-02-06T18:40:40Z", `kms:CreateAlias`},
		"IAMReadOnlyAccess":                               {"v4", "2015-02-06T18:40:39Z", `iam:SimulateCustomPolicy`},
		"job-function/ViewOnlyAccess":                     {"", "2016-11-10T17:20:15Z", `athena:List*`},
		"service-role/AWSLambdaBasicExecutionRole":        {"v1", "2015-04-09T15:03:43Z", `logs:PutLogEvents`},
		"service-role/AmazonECSTaskExecutionRolePolicy":   {"", "2017-11-16T18:48:22Z", `ecr:BatchGetImage`},
		"AmazonS3ReadOnlyAccess":                          {"", "2015-02-06T18:40:59Z", `s3-object-lambda:Get*`},
		"AmazonSSMManagedInstanceCore":                    {"v2", "2019-03-15T17:22:12Z", `ssmmessages:CreateControlChannel`},
		"aws-service-role/AWSServiceRoleForAmazonEKSNode": {},
	} {
		p := managed.Find("arn:aws:iam::aws:policy/" + arn)
		if want.says == "" {
			if p != nil {
				t.Errorf("%+v", p)
			}
			continue
		}
		if p == nil {
			t.Errorf("no %s", arn)
			continue
		}
		if made := p.Created.Format("2006-01-02T15:04:05Z"); want.version != "" && p.Version != want.version || made != want.made || !regexp.MustCompile(regexp.QuoteMeta(want.says)).MatchString(p.Document()) {
			t.Errorf("%s %s made %s: %.200s", arn, p.Version, made, p.Document())
		}
	}
}
