package managed_test

import (
	"regexp"
	"testing"

	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/policy"
)

// TestPolicies checks the data: each policy is one that IAM could have. The versions of those that the
// scenarios lean on are as in the AWS Managed Policy Reference.
func TestPolicies(t *testing.T) {
	versions := map[string]string{
		"AdministratorAccess": "v1", "PowerUserAccess": "v12", "AutoScalingServiceRolePolicy": "v8", "AWSEC2SpotServiceRolePolicy": "v4",
		"AWSEC2SpotFleetServiceRolePolicy": "v4", "AWSEC2FleetServiceRolePolicy": "v3", "AmazonEC2FullAccess": "v5", "AutoScalingFullAccess": "v2",
		"AWSKeyManagementServicePowerUser": "v2", "IAMFullAccess": "v2", "IAMReadOnlyAccess": "v4", "AmazonSSMManagedInstanceCore": "v2",
	}
	seen := map[string]bool{}
	id := regexp.MustCompile(`^ANPA[A-Z0-9]{17}$`)
	path, version := regexp.MustCompile(`^/([a-z-]+/)?$`), regexp.MustCompile(`^v[1-9][0-9]*$`)
	for p := range managed.All() {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		if !id.MatchString(p.ID) || seen[p.ID] {
			t.Errorf("%s has the id %q", p.Name, p.ID)
		}
		seen[p.Name], seen[p.ID] = true, true
		if !path.MatchString(p.Path) || !version.MatchString(p.Version) || p.ARN != "arn:aws:iam::aws:policy"+p.Path+p.Name || p.Description == "" {
			t.Errorf("%+v", p)
		}
		if p.Created.IsZero() || p.Updated.Before(p.Created) || p.Version == "v1" && !p.Updated.Equal(p.Created) || p.Version != "v1" && p.Updated.Equal(p.Created) {
			t.Errorf("%s %s was made %s and changed %s", p.Name, p.Version, p.Created, p.Updated)
		}
		if want, ok := versions[p.Name]; ok && p.Version != want {
			t.Errorf("%s is %s, want %s", p.Name, p.Version, want)
		}
		if _, err := policy.Parse([]byte(p.Document), policy.Identity); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	for name := range versions {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}
