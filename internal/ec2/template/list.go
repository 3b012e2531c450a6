package template

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

var templateFields = idiom.Fields[Template]{
	"create-time":          func(t Template) []string { return idiom.One(idiom.Time(t.Created)) },
	"launch-template-name": func(t Template) []string { return idiom.One(t.Name) },
	"launch-template-id":   func(t Template) []string { return idiom.One(t.ID) },
}

// templates are all of the caller.
func templates(tx store.Tx, c *guard.Call) ([]Template, error) {
	var all []Template
	for r, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		all = append(all, r.Value)
	}
	return all, nil
}

// DescribeLaunchTemplates lists templates: those with the ids or names, or all.
func (s *Service) DescribeLaunchTemplates(ctx context.Context, c *guard.Call, in *ec2api.DescribeLaunchTemplatesRequest) (*ec2api.DescribeLaunchTemplatesResult, error) {
	out := new(ec2api.DescribeLaunchTemplatesResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeLaunchTemplates", in.DryRun, func(tx store.Tx) error {
		all, err := templates(tx, c)
		if err != nil {
			return err
		}
		all, err = idiom.Pick(all, in.LaunchTemplateIds, func(t Template) string { return t.ID }, func(id string) error {
			_, err := Find(tx, c, id, "")
			return err
		})
		if err != nil {
			return err
		}
		all, err = idiom.Pick(all, in.LaunchTemplateNames, func(t Template) string { return t.Name }, func(string) error {
			return apierr.New("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
		})
		if err != nil {
			return err
		}
		passes, err := templateFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		tags, err := idiom.TagsOfAll(tx, c.Region, c.Account())
		if err != nil {
			return err
		}
		var items []ec2api.LaunchTemplate
		for _, t := range all {
			if passes(t, tags[t.ID]) {
				items = append(items, *t.wire(tags[t.ID]))
			}
		}
		id := func(t ec2api.LaunchTemplate) string { return *t.LaunchTemplateId }
		out.LaunchTemplates, out.NextToken, err = idiom.Page(c.Operation, items, id, idiom.Limits{Least: 1, Most: 200}, in.MaxResults, in.NextToken)
		return err
	})
	return out, err
}

// A listedVersion is a version with what filters ask for.
type listedVersion struct {
	t    *Template
	v    versionRecord
	data *ec2api.ResponseLaunchTemplateData
}

var versionFields = idiom.Fields[listedVersion]{
	"create-time":        func(l listedVersion) []string { return idiom.One(idiom.Time(l.v.Created)) },
	"is-default-version": func(l listedVersion) []string { return idiom.Bool(l.v.Number == l.t.Default) },
	"is-latest":          func(l listedVersion) []string { return idiom.Bool(l.v.Number == l.t.Latest) },
	"is-latest-version":  func(l listedVersion) []string { return idiom.Bool(l.v.Number == l.t.Latest) },
	"ebs-optimized":      func(l listedVersion) []string { return idiom.Optional(l.data.EbsOptimized, idiom.Bool) },
	"image-id":           func(l listedVersion) []string { return idiom.Optional(l.data.ImageId, idiom.One) },
	"instance-type":      func(l listedVersion) []string { return idiom.Optional(l.data.InstanceType, idiom.One) },
	"kernel-id":          func(l listedVersion) []string { return idiom.Optional(l.data.KernelId, idiom.One) },
	"ram-disk-id":        func(l listedVersion) []string { return idiom.Optional(l.data.RamDiskId, idiom.One) },
	"iam-instance-profile": func(l listedVersion) []string {
		return idiom.Optional(l.data.IamInstanceProfile, func(p ec2api.LaunchTemplateIamInstanceProfileSpecification) []string {
			return append(idiom.Optional(p.Arn, idiom.One), idiom.Optional(p.Name, idiom.One)...)
		})
	},
	"http-tokens": func(l listedVersion) []string {
		return idiom.Optional(l.data.MetadataOptions, func(m ec2api.LaunchTemplateInstanceMetadataOptions) []string {
			return idiom.Optional(m.HttpTokens, idiom.One)
		})
	},
	"http-endpoint": func(l listedVersion) []string {
		return idiom.Optional(l.data.MetadataOptions, func(m ec2api.LaunchTemplateInstanceMetadataOptions) []string {
			return idiom.Optional(m.HttpEndpoint, idiom.One)
		})
	},
	"http-protocol-ipv4": idiom.Fixed[listedVersion](),
	"http-protocol-ipv6": func(l listedVersion) []string {
		return idiom.Optional(l.data.MetadataOptions, func(m ec2api.LaunchTemplateInstanceMetadataOptions) []string {
			return idiom.Optional(m.HttpProtocolIpv6, idiom.One)
		})
	},
	"host-resource-group-arn": func(l listedVersion) []string {
		return idiom.Optional(l.data.Placement, func(p ec2api.LaunchTemplatePlacement) []string {
			return idiom.Optional(p.HostResourceGroupArn, idiom.One)
		})
	},
	"license-configuration-arn": func(l listedVersion) (values []string) {
		for _, spec := range l.data.LicenseSpecifications {
			values = append(values, idiom.Optional(spec.LicenseConfigurationArn, idiom.One)...)
		}
		return values
	},
	"network-card-index": func(l listedVersion) (values []string) {
		for _, n := range l.data.NetworkInterfaces {
			values = append(values, idiom.Optional(n.NetworkCardIndex, idiom.Int[int32])...)
		}
		return values
	},
}

// DescribeLaunchTemplateVersions lists versions, newest first: of one template, or the default or
// latest ones of all templates.
func (s *Service) DescribeLaunchTemplateVersions(ctx context.Context, c *guard.Call, in *ec2api.DescribeLaunchTemplateVersionsRequest) (*ec2api.DescribeLaunchTemplateVersionsResult, error) {
	out := new(ec2api.DescribeLaunchTemplateVersionsResult)
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeLaunchTemplateVersions", in.DryRun, func(tx store.Tx) error {
		passes, err := versionFields.Filter(in.Filters)
		if err != nil {
			return err
		}
		all, err := chooseVersions(tx, c, in)
		if err != nil {
			return err
		}
		var items []listedVersion
		for _, l := range all {
			if l.data, err = l.v.Data.response(); err != nil {
				return err
			}
			if err := resolved(in.ResolveAlias, l.data.ImageId); err != nil {
				return err
			}
			if passes(l, nil) {
				items = append(items, l)
			}
		}
		place := func(l listedVersion) string { return store.Key(l.t.ID, versionKey(math.MaxInt64-l.v.Number)) }
		items, out.NextToken, err = idiom.Page(c.Operation, items, place, idiom.Limits{Least: 1, Most: 200}, in.MaxResults, in.NextToken)
		if err != nil {
			return err
		}
		out.LaunchTemplateVersions = nil
		for _, l := range items {
			w, err := l.t.versionWire(l.v)
			if err != nil {
				return err
			}
			out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, *w)
		}
		return nil
	})
	return out, err
}

// resolved refuses to replace a parameter of Systems Manager, which a template names in place of an image, by the image:
// there are no such parameters here. Source: EC2 API Reference, DescribeLaunchTemplateVersions, ResolveAlias.
func resolved(asked *bool, image *string) error {
	if api.Val(asked) && strings.HasPrefix(api.Val(image), "resolve:ssm:") {
		return apierr.Newf("UnsupportedOperation", "This server has no parameters of Systems Manager: %s cannot be resolved.", *image)
	}
	return nil
}

// chooseVersions reads the versions that a request means, before filters.
func chooseVersions(tx store.Tx, c *guard.Call, in *ec2api.DescribeLaunchTemplateVersionsRequest) ([]listedVersion, error) {
	id, name := api.Val(in.LaunchTemplateId), api.Val(in.LaunchTemplateName)
	bounded := in.MinVersion != nil || in.MaxVersion != nil
	if len(in.Versions) > 0 && bounded {
		return nil, apierr.New("InvalidParameterCombination", "You cannot specify versions together with a minimum or maximum version.")
	}
	if id == "" && name == "" {
		return versionsOfAll(tx, c, in.Versions)
	}
	t, err := Find(tx, c, id, name)
	if err != nil {
		return nil, err
	}
	low, err := t.bound(in.MinVersion, 1)
	if err != nil {
		return nil, err
	}
	high, err := t.bound(in.MaxVersion, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	wanted := map[int64]string{}
	for _, version := range in.Versions {
		n, err := t.versionNumber(version)
		if err != nil {
			return nil, err
		}
		wanted[n] = version
	}
	var out []listedVersion
	for r, err := range versionTable.Scan(tx, t.Region, t.Account, t.ID) {
		if err != nil {
			return nil, err
		}
		v := r.Value
		if _, named := wanted[v.Number]; len(in.Versions) > 0 && !named || v.Number < low || v.Number > high {
			continue
		}
		delete(wanted, v.Number)
		out = append(out, listedVersion{t: &t, v: v})
	}
	for _, n := range slices.Sorted(maps.Keys(wanted)) {
		return nil, errVersion(&t, strconv.FormatInt(n, 10))
	}
	return out, nil
}

// bound is the number of a version that a list begins or ends with.
func (t *Template) bound(version *string, none int64) (int64, error) {
	switch api.Val(version) {
	case "":
		return none, nil
	case "0": // before all: Cluster API's provider for AWS asks so
		return 0, nil
	}
	return t.versionNumber(*version)
}

// versionsOfAll reads the default or latest versions of all templates of the caller.
func versionsOfAll(tx store.Tx, c *guard.Call, versions []string) ([]listedVersion, error) {
	if len(versions) == 0 {
		return nil, apierr.New("MissingParameter", "You must specify either launch template id or launch template name, or the versions $Latest or $Default.")
	}
	for _, v := range versions {
		if v != "$Latest" && v != "$Default" {
			return nil, idiom.InvalidValue("Only the versions $Latest and $Default can be described for all launch templates.")
		}
	}
	all, err := templates(tx, c)
	if err != nil {
		return nil, err
	}
	var out []listedVersion
	for r, err := range versionTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return nil, err
		}
		i, ok := slices.BinarySearchFunc(all, r.Key[2], func(t Template, id string) int { return cmp.Compare(t.ID, id) })
		if !ok {
			continue // of a template that is being deleted
		}
		t := &all[i]
		latest := r.Value.Number == t.Latest && slices.Contains(versions, "$Latest")
		if latest || r.Value.Number == t.Default && slices.Contains(versions, "$Default") {
			out = append(out, listedVersion{t: t, v: r.Value})
		}
	}
	return out, nil
}
