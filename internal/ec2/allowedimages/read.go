package allowedimages

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
)

// Limits. Source: EC2 API Reference, ImageCriterionRequest.
const (
	maxCriteria  = 10
	maxProviders = 200
	maxNames     = 50
	maxProducts  = 50
)

// none means nobody's images but the account's own, which pass anyway.
const none = "none"

// aliases are the providers that are not accounts.
var aliases = []string{"amazon", "aws-marketplace", "aws-backup-vault"}

// Read makes criteria of a request's. AWS's texts are not published.
// Source: EC2 API Reference, ReplaceImageCriteriaInAllowedImagesSettings and ImageCriterionRequest.
func Read(in []ec2api.ImageCriterionRequest) ([]Criterion, error) {
	if len(in) > maxCriteria {
		return nil, tooMany(len(in), maxCriteria, "ImageCriteria")
	}
	var out []Criterion
	for i := range in {
		c, err := read(&in[i])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func read(in *ec2api.ImageCriterionRequest) (Criterion, error) {
	c := Criterion{Providers: in.ImageProviders, Products: in.MarketplaceProductCodes, Names: in.ImageNames}
	if t := in.CreationDateCondition; t != nil {
		c.MaxAge = t.MaximumDaysSinceCreated
	}
	if t := in.DeprecationTimeCondition; t != nil {
		c.MaxDeprecated = t.MaximumDaysSinceDeprecated
	}
	if len(c.Providers)+len(c.Products)+len(c.Names) == 0 && c.MaxAge == nil && c.MaxDeprecated == nil {
		return c, idiom.InvalidValue("An image criterion must have at least one condition.")
	}
	for _, l := range []struct {
		name  string
		have  []string
		most  int
		valid func(string) bool
	}{
		{"ImageProviders", c.Providers, maxProviders, provider},
		{"MarketplaceProductCodes", c.Products, maxProducts, product},
		{"ImageNames", c.Names, maxNames, pattern},
	} {
		if len(l.have) > l.most {
			return c, tooMany(len(l.have), l.most, l.name)
		}
		for _, v := range l.have {
			if !l.valid(v) {
				return c, idiom.InvalidValue("Value (%s) for parameter %s is invalid.", v, l.name)
			}
		}
	}
	if slices.Contains(c.Providers, none) && len(c.Providers) > 1 {
		return c, idiom.InvalidValue("When none is specified for ImageProviders, no other values can be specified.")
	}
	return c, nil
}

func tooMany(have, most int, name string) error {
	return idiom.InvalidValue("%d values for %s are too many: at most %d can be specified.", have, name, most)
}

func provider(v string) bool { return v == none || slices.Contains(aliases, v) || arn.IsAccount(v) }

func product(v string) bool {
	return len(v) >= 1 && len(v) <= 25 && only(v, "")
}

// pattern is a name of an image with wildcards.
func pattern(v string) bool {
	least := 1
	if strings.Contains(v, "?") {
		least = 3
	}
	return len(v) >= least && len(v) <= 128 && only(v, "()[]./-'@_*? ")
}

// only reports whether a text has no other than letters, digits and some more characters.
func only(v, more string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(more, r)
	})
}

// Wire is criteria in an answer.
func Wire(have []Criterion) (out []ec2api.ImageCriterion) {
	for _, c := range have {
		w := ec2api.ImageCriterion{ImageProviders: c.Providers, MarketplaceProductCodes: c.Products, ImageNames: c.Names}
		if c.MaxAge != nil {
			w.CreationDateCondition = &ec2api.CreationDateCondition{MaximumDaysSinceCreated: c.MaxAge}
		}
		if c.MaxDeprecated != nil {
			w.DeprecationTimeCondition = &ec2api.DeprecationTimeCondition{MaximumDaysSinceDeprecated: c.MaxDeprecated}
		}
		out = append(out, w)
	}
	return out
}
