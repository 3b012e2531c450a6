package allowedimages_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/allowedimages"
)

const (
	mine   = "111122223333"
	theirs = "444455556666"
)

var now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func providers(names ...string) ec2api.ImageCriterionRequest {
	return ec2api.ImageCriterionRequest{ImageProviders: names}
}

func named(names ...string) ec2api.ImageCriterionRequest {
	return ec2api.ImageCriterionRequest{ImageNames: names}
}

func aged(days int32) ec2api.ImageCriterionRequest {
	return ec2api.ImageCriterionRequest{CreationDateCondition: &ec2api.CreationDateConditionRequest{MaximumDaysSinceCreated: &days}}
}

func deprecated(days int32) ec2api.ImageCriterionRequest {
	return ec2api.ImageCriterionRequest{DeprecationTimeCondition: &ec2api.DeprecationTimeConditionRequest{MaximumDaysSinceDeprecated: &days}}
}

func TestJudge(t *testing.T) {
	img := allowedimages.Image{Owner: theirs, Alias: "amazon", Name: "golden-linux-7", Created: now.AddDate(0, 0, -10), Deprecated: now.AddDate(0, 0, -2)}
	both := aged(10)
	both.ImageNames = []string{"silver*"}
	for _, tt := range []struct {
		name     string
		criteria []ec2api.ImageCriterionRequest
		want     bool
	}{
		{"no criteria", nil, false},
		{"the owner", []ec2api.ImageCriterionRequest{providers("777788889999", theirs)}, true},
		{"the owner's alias", []ec2api.ImageCriterionRequest{providers("amazon")}, true},
		{"another provider", []ec2api.ImageCriterionRequest{providers("aws-marketplace")}, false},
		{"nobody's", []ec2api.ImageCriterionRequest{providers("none")}, false},
		{"a name", []ec2api.ImageCriterionRequest{named("silver*", "golden-*-?")}, true},
		{"no name", []ec2api.ImageCriterionRequest{named("Golden-*")}, false},
		{"a product", []ec2api.ImageCriterionRequest{{MarketplaceProductCodes: []string{"abc123"}}}, false},
		{"new enough", []ec2api.ImageCriterionRequest{aged(10)}, true},
		{"too old", []ec2api.ImageCriterionRequest{aged(9)}, false},
		{"not long deprecated", []ec2api.ImageCriterionRequest{deprecated(2)}, true},
		{"long deprecated", []ec2api.ImageCriterionRequest{deprecated(1)}, false},
		{"not deprecated at all", []ec2api.ImageCriterionRequest{deprecated(0)}, false},
		{"all of a criterion", []ec2api.ImageCriterionRequest{both}, false},
		{"one of the criteria", []ec2api.ImageCriterionRequest{both, named("golden*")}, true},
	} {
		criteria, err := allowedimages.Read(tt.criteria)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		for state, hidden := range map[string]bool{"enabled": !tt.want, "audit-mode": false} {
			s := allowedimages.Settings{State: state, Criteria: criteria}
			if v := s.Judge(mine, img, now); *v.Allowed != tt.want || v.Hidden != hidden {
				t.Errorf("%s, %s: allowed %t, hidden %t", tt.name, state, *v.Allowed, v.Hidden)
			}
			if v := s.Judge(theirs, img, now); !*v.Allowed || v.Hidden {
				t.Errorf("%s, %s: the owner's image is not allowed", tt.name, state)
			}
		}
		if v := (&allowedimages.Settings{Criteria: criteria}).Judge(mine, img, now); v.Allowed != nil || v.Hidden {
			t.Errorf("%s, disabled: %+v", tt.name, v)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []ec2api.ImageCriterionRequest
		good bool
	}{
		{"nothing", nil, true},
		{"ten criteria", slices.Repeat([]ec2api.ImageCriterionRequest{aged(1)}, 10), true},
		{"eleven criteria", slices.Repeat([]ec2api.ImageCriterionRequest{aged(1)}, 11), false},
		{"an empty criterion", []ec2api.ImageCriterionRequest{{}}, false},
		{"no provider", []ec2api.ImageCriterionRequest{providers("microsoft")}, false},
		{"none and another", []ec2api.ImageCriterionRequest{providers("none", "amazon")}, false},
		{"200 providers", []ec2api.ImageCriterionRequest{providers(slices.Repeat([]string{theirs}, 200)...)}, true},
		{"201 providers", []ec2api.ImageCriterionRequest{providers(slices.Repeat([]string{theirs}, 201)...)}, false},
		{"51 names", []ec2api.ImageCriterionRequest{named(slices.Repeat([]string{"a"}, 51)...)}, false},
		{"all characters of names", []ec2api.ImageCriterionRequest{named("aZ9 ([./-'@_*?])")}, true},
		{"a colon in a name", []ec2api.ImageCriterionRequest{named("a:b")}, false},
		{"a short name with ?", []ec2api.ImageCriterionRequest{named("a?")}, false},
		{"a long name", []ec2api.ImageCriterionRequest{named(strings.Repeat("a", 129))}, false},
		{"a product code", []ec2api.ImageCriterionRequest{{MarketplaceProductCodes: []string{strings.Repeat("a", 25)}}}, true},
		{"a long product code", []ec2api.ImageCriterionRequest{{MarketplaceProductCodes: []string{strings.Repeat("a", 26)}}}, false},
		{"a product code with a dash", []ec2api.ImageCriterionRequest{{MarketplaceProductCodes: []string{"a-b"}}}, false},
	} {
		_, err := allowedimages.Read(tt.in)
		if tt.good && err != nil || !tt.good && apierr.Code(err) != "InvalidParameterValue" {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
