package linkedrole_test

import (
	"regexp"
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/linkedrole"
)

// TestRoles: names are those of roles, each once, and the policies are AWS's.
func TestRoles(t *testing.T) {
	service, name := regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com$`), regexp.MustCompile(`^AWSServiceRoleFor[A-Za-z0-9_-]+$`)
	owner := map[string]string{}
	for s, r := range linkedrole.Each() {
		if !service.MatchString(s) || !name.MatchString(r.Name) || len(r.Name) > 64 {
			t.Errorf("%s has %s", s, r.Name)
		}
		if other, ok := owner[r.Name]; ok {
			t.Errorf("%s is the role of %s and %s", r.Name, s, other)
		}
		owner[r.Name] = s
		for _, p := range r.Policies {
			// The role of Lex was recorded with a policy that AWS no longer lists.
			if managed.Find("arn:aws:iam::aws:policy/aws-service-role/"+p) == nil && p != "AmazonLexBotPolicy" {
				t.Errorf("%s: there is no %s", arn.ServiceLinkedPath(s)+r.Name, p)
			}
		}
	}
	for s, want := range map[string]string{
		"autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling", "organizations.amazonaws.com": "AWSServiceRoleForOrganizations",
		"ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService", "guardduty.amazonaws.com": "AWSServiceRoleForAmazonGuardDuty",
	} {
		if r, ok := linkedrole.Of(s); !ok || r.Name != want {
			t.Errorf("%s has %+v", s, r)
		}
	}
}
