// Package template is launch templates and their versions: what a launch names and does not say itself. A version keeps
// exactly what was sent; what it means is found out when something is launched.
package template

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Template is a launch template.
type Template struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Region    string    `json:"region"`
	Account   string    `json:"account"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"createdBy"` // ARN
	Default   int64     `json:"default"`   // number of the default version
	Latest    int64     `json:"latest"`    // number of the newest version
	Next      int64     `json:"next"`      // number that the next version gets; never given twice
	Count     int64     `json:"count"`     // of versions
}

// A versionRecord is a version of a launch template as stored.
type versionRecord struct {
	Number      int64       `json:"number"`
	Description string      `json:"description,omitempty"`
	Created     time.Time   `json:"created"`
	CreatedBy   string      `json:"createdBy"` // ARN
	Data        versionData `json:"data"`
}

// A Version is a version of a launch template with its data as it was sent.
type Version struct {
	Number int64
	Data   ec2api.RequestLaunchTemplateData
}

var (
	table        = store.Table[Template]{Bucket: "ec2/template", Version: 1}             // region, account, id
	nameTable    = store.Table[string]{Bucket: "ec2/templatename", Version: 1}           // region, account, name: id
	versionTable = store.Table[versionRecord]{Bucket: "ec2/templateversion", Version: 1} // region, account, id, number
)

// versionKey makes version numbers sort as text.
func versionKey(n int64) string { return fmt.Sprintf("%019d", n) }

// Errors about launch templates. Source: EC2 API Reference, "Error codes".

func errID(id string) error {
	return apierr.Newf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

func errName(name string) error {
	return apierr.Newf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
}

func errVersion(t *Template, version string) error {
	return apierr.Newf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", version, t.ID)
}

// All are the launch templates of an account in a region.
func All(tx store.Tx, region, account string) iter.Seq2[store.Record[Template], error] {
	return table.Scan(tx, region, account)
}

// Find finds a template of the caller by its id or its name, of which one must be given.
func Find(tx store.Tx, c *guard.Call, id, name string) (Template, error) {
	switch {
	case id == "" && name == "":
		return Template{}, apierr.New("MissingParameter", "You must specify either launch template id or launch template name.")
	case id != "" && name != "":
		return Template{}, apierr.New("InvalidParameterCombination", "You cannot specify both a launch template id and a launch template name.")
	case name != "":
		found, ok, err := nameTable.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return Template{}, err
		}
		if !ok {
			return Template{}, errName(name)
		}
		id = found
	default:
		if rest, ok := strings.CutPrefix(id, "lt-"); !ok || !idiom.IsHex(rest) {
			return Template{}, apierr.Newf("InvalidLaunchTemplateId.Malformed", "Invalid id: \"%s\" (expecting \"lt-...\")", id)
		}
	}
	t, ok, err := table.Get(tx, c.Region, c.Account(), id)
	if err == nil && !ok {
		err = errID(id)
	}
	return t, err
}

// versionNumber reads a version as requests name it: a number, $Latest or $Default.
func (t *Template) versionNumber(version string) (int64, error) {
	switch version {
	case "$Latest":
		return t.Latest, nil
	case "$Default":
		return t.Default, nil
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 1 {
		return 0, idiom.InvalidValue("Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.")
	}
	return n, nil
}

// version reads one version of a template.
func (t *Template) version(tx store.Tx, version string) (versionRecord, error) {
	n, err := t.versionNumber(version)
	if err != nil {
		return versionRecord{}, err
	}
	v, ok, err := versionTable.Get(tx, t.Region, t.Account, t.ID, versionKey(n))
	if err == nil && !ok {
		err = errVersion(t, version)
	}
	return v, err
}

// Resolve finds the template and version that a launch names; without a version it is the
// default one. Source: EC2 API Reference, "LaunchTemplateSpecification".
func Resolve(tx store.Tx, c *guard.Call, spec *ec2api.LaunchTemplateSpecification) (Template, Version, error) {
	t, err := Find(tx, c, api.Val(spec.LaunchTemplateId), api.Val(spec.LaunchTemplateName))
	if err != nil {
		return t, Version{}, err
	}
	version := api.Val(spec.Version)
	if version == "" {
		version = "$Default"
	}
	v, err := t.version(tx, version)
	if err != nil {
		return t, Version{}, err
	}
	data, err := v.Data.request()
	return t, Version{Number: v.Number, Data: data}, err
}

// A Service has the operations on launch templates. Safe for concurrent use.
type Service struct{ g *guard.Guard }

// New makes a Service.
func New(g *guard.Guard) *Service { return &Service{g} }

// Operations are the handlers of launch templates.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateLaunchTemplate":           guard.Handle(s.CreateLaunchTemplate),
		"CreateLaunchTemplateVersion":    guard.Handle(s.CreateLaunchTemplateVersion),
		"ModifyLaunchTemplate":           guard.Handle(s.ModifyLaunchTemplate),
		"DeleteLaunchTemplate":           guard.Handle(s.DeleteLaunchTemplate),
		"DeleteLaunchTemplateVersions":   guard.Handle(s.DeleteLaunchTemplateVersions),
		"DescribeLaunchTemplates":        guard.Handle(s.DescribeLaunchTemplates),
		"DescribeLaunchTemplateVersions": guard.Handle(s.DescribeLaunchTemplateVersions),
	}
}

// arn is the ARN of a launch template.
func (t *Template) arn() string { return arn.EC2(t.Region, t.Account, "launch-template/"+t.ID) }

func (t *Template) put(tx store.Tx) error {
	return table.Put(tx, *t, t.Region, t.Account, t.ID)
}

// wire is a launch template as answers carry it.
func (t Template) wire(tags map[string]string) *ec2api.LaunchTemplate {
	return &ec2api.LaunchTemplate{
		LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, CreateTime: &t.Created, CreatedBy: &t.CreatedBy,
		DefaultVersionNumber: &t.Default, LatestVersionNumber: &t.Latest, Tags: idiom.Wire(tags), Operator: idiom.Unmanaged(),
	}
}

// versionWire is a version of the template as answers carry it.
func (t *Template) versionWire(v versionRecord) (*ec2api.LaunchTemplateVersion, error) {
	data, err := v.Data.response()
	return &ec2api.LaunchTemplateVersion{
		LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: &v.Number, VersionDescription: api.Opt(v.Description),
		CreateTime: &v.Created, CreatedBy: &v.CreatedBy, DefaultVersion: new(v.Number == t.Default), LaunchTemplateData: data, Operator: idiom.Unmanaged(),
	}, err
}

// change decides the call's action on a template that id or name tells, and runs fn with
// it. Who may not do it does not learn whether the template exists.
func (s *Service) change(ctx context.Context, c *guard.Call, id, name *string, flag *bool, add func(*authz.Part),
	fn func(store.Tx, *Template, map[string]string) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, missing := Find(tx, c, api.Val(id), api.Val(name))
		if missing != nil && apierr.Code(missing) == "" {
			return missing
		}
		resource := cmp.Or(t.ID, api.Val(id), "*")
		tags, err := idiom.TagsOf(tx, c.Region, c.Account(), resource)
		if err != nil {
			return err
		}
		p := idiom.Part(c, "ec2:"+c.Operation, "launch-template/"+resource, tags)
		if add != nil {
			add(&p)
		}
		if _, err := s.g.Allow(tx, c, p); err != nil {
			return err
		}
		if missing != nil {
			return missing
		}
		c.Touch(t.arn(), t.Account, "AWS::EC2::LaunchTemplate")
		if err := idiom.DryRun(flag); err != nil {
			return err
		}
		return fn(tx, &t, tags)
	})
}
