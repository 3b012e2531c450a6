// Package allowedimages is the Allowed AMIs of an account in a region: which images of others may be seen and launched.
// It has no records and no operations: package ec2 keeps [Settings] and asks [Settings.Judge].
// Source: EC2 User Guide, "Control the discovery and use of AMIs in Amazon EC2 with Allowed AMIs".
package allowedimages

import (
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/glob"
)

// States. Source: EC2 API Reference, GetAllowedImagesSettings.
const (
	Disabled = "disabled"
	Audit    = ec2api.AllowedImagesSettingsEnabledStateAuditMode
	Enabled  = ec2api.AllowedImagesSettingsEnabledStateEnabled
)

// Settings are an account's in a region; the zero value is disabled, without criteria.
type Settings struct {
	State    string      `json:"state,omitempty"` // "" is [Disabled]
	Criteria []Criterion `json:"criteria,omitempty"`
}

// A Criterion lets the images pass that meet all of what it names.
type Criterion struct {
	Providers []string `json:"providers,omitempty"`
	Products  []string `json:"products,omitempty"`
	Names     []string `json:"names,omitempty"`
	// MaxAge and MaxDeprecated are days, since the creation and since the deprecation.
	MaxAge        *int32 `json:"maxAge,omitempty"`
	MaxDeprecated *int32 `json:"maxDeprecated,omitempty"`
}

// An Image is what criteria look at. Deprecated is zero for one that never will be.
type Image struct {
	Owner, Alias, Name  string
	Created, Deprecated time.Time
}

// A Verdict is what settings say about an image.
type Verdict struct {
	// Allowed is nil where nothing is told: while the settings are disabled.
	Allowed *bool
	// Hidden images are neither seen nor launched.
	Hidden bool
}

// Judge says what the settings of an account mean for an image. An account's own images always pass.
func (s *Settings) Judge(account string, img Image, now time.Time) Verdict {
	if s.State == "" {
		return Verdict{}
	}
	ok := img.Owner == account || slices.ContainsFunc(s.Criteria, func(c Criterion) bool { return c.admits(img, now) })
	return Verdict{Allowed: &ok, Hidden: !ok && s.State == Enabled}
}

// admits reports whether an image of somebody else meets the criterion. No image here is a product of AWS Marketplace.
func (c *Criterion) admits(img Image, now time.Time) bool {
	return (len(c.Providers) == 0 || slices.Contains(c.Providers, img.Owner) || img.Alias != "" && slices.Contains(c.Providers, img.Alias)) &&
		len(c.Products) == 0 &&
		(len(c.Names) == 0 || slices.ContainsFunc(c.Names, func(p string) bool { return glob.Match(p, img.Name) })) &&
		within(c.MaxAge, img.Created, now) &&
		(img.Deprecated.IsZero() || within(c.MaxDeprecated, img.Deprecated, now))
}

// within reports whether at most so many days have gone by since a time.
func within(days *int32, since, now time.Time) bool {
	return days == nil || !now.After(since.AddDate(0, 0, int(*days)))
}
