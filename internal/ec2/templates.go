package ec2

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A templateRecord is a launch template.
type templateRecord struct {
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
	Number      int64        `json:"number"`
	Description string       `json:"description,omitempty"`
	Created     time.Time    `json:"created"`
	CreatedBy   string       `json:"createdBy"` // ARN
	Data        templateData `json:"data"`
}

// A templateVersion is a version of a launch template with its data as it was sent.
type templateVersion struct {
	Number int64
	Data   ec2api.RequestLaunchTemplateData
}

var (
	templateTable = store.Table[templateRecord]{Bucket: "ec2/template", Version: 1}       // region, account, id
	templateNames = store.Table[string]{Bucket: "ec2/templatename", Version: 1}           // region, account, name: id
	versionTable  = store.Table[versionRecord]{Bucket: "ec2/templateversion", Version: 1} // region, account, id, number
)

// versionKey makes version numbers sort as text.
func versionKey(n int64) string { return fmt.Sprintf("%019d", n) }

// Errors about launch templates. Source: EC2 API Reference, "Error codes".

func errTemplateID(id string) error {
	return apierr.Newf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

func errTemplateName(name string) error {
	return apierr.Newf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
}

func errTemplateVersion(t *templateRecord, version string) error {
	return apierr.Newf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", version, t.ID)
}

// findTemplate finds a template of the caller by its id or its name, of which one must be given.
func findTemplate(tx store.Tx, c *guard.Call, id, name string) (templateRecord, error) {
	switch {
	case id == "" && name == "":
		return templateRecord{}, apierr.New("MissingParameter", "You must specify either launch template id or launch template name.")
	case id != "" && name != "":
		return templateRecord{}, apierr.New("InvalidParameterCombination", "You cannot specify both a launch template id and a launch template name.")
	case name != "":
		found, ok, err := templateNames.Get(tx, c.Region, c.Account(), name)
		if err != nil {
			return templateRecord{}, err
		}
		if !ok {
			return templateRecord{}, errTemplateName(name)
		}
		id = found
	default:
		if rest, ok := strings.CutPrefix(id, "lt-"); !ok || !isHex(rest) {
			return templateRecord{}, apierr.Newf("InvalidLaunchTemplateId.Malformed", "Invalid id: \"%s\" (expecting \"lt-...\")", id)
		}
	}
	t, ok, err := templateTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && !ok {
		err = errTemplateID(id)
	}
	return t, err
}

// versionNumber reads a version as requests name it: a number, $Latest or $Default.
func (t *templateRecord) versionNumber(version string) (int64, error) {
	switch version {
	case "$Latest":
		return t.Latest, nil
	case "$Default":
		return t.Default, nil
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 1 {
		return 0, invalidValue("Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.")
	}
	return n, nil
}

// version reads one version of a template.
func (t *templateRecord) version(tx store.Tx, version string) (versionRecord, error) {
	n, err := t.versionNumber(version)
	if err != nil {
		return versionRecord{}, err
	}
	v, ok, err := versionTable.Get(tx, t.Region, t.Account, t.ID, versionKey(n))
	if err == nil && !ok {
		err = errTemplateVersion(t, version)
	}
	return v, err
}

// resolveTemplate finds the template and version that a launch names; without a version it is the
// default one. Source: EC2 API Reference, "LaunchTemplateSpecification".
func (s *Service) resolveTemplate(tx store.Tx, c *guard.Call, spec *ec2api.LaunchTemplateSpecification) (templateRecord, templateVersion, error) {
	t, err := findTemplate(tx, c, api.Val(spec.LaunchTemplateId), api.Val(spec.LaunchTemplateName))
	if err != nil {
		return t, templateVersion{}, err
	}
	version := api.Val(spec.Version)
	if version == "" {
		version = "$Default"
	}
	v, err := t.version(tx, version)
	if err != nil {
		return t, templateVersion{}, err
	}
	data, err := v.Data.request()
	return t, templateVersion{Number: v.Number, Data: data}, err
}

// templateOperations are the handlers of launch templates.
func (s *Service) templateOperations() map[string]guard.Handler {
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
func (t *templateRecord) arn() string { return arn.EC2(t.Region, t.Account, "launch-template/"+t.ID) }

func (t *templateRecord) put(tx store.Tx) error {
	return templateTable.Put(tx, *t, t.Region, t.Account, t.ID)
}

// wire is a launch template as answers carry it.
func (t templateRecord) wire(tags map[string]string) *ec2api.LaunchTemplate {
	return &ec2api.LaunchTemplate{
		LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, CreateTime: &t.Created, CreatedBy: &t.CreatedBy,
		DefaultVersionNumber: &t.Default, LatestVersionNumber: &t.Latest, Tags: apiTags(tags),
	}
}

// versionWire is a version of the template as answers carry it.
func (t *templateRecord) versionWire(v versionRecord) (*ec2api.LaunchTemplateVersion, error) {
	data, err := v.Data.response()
	return &ec2api.LaunchTemplateVersion{
		LaunchTemplateId: new(t.ID), LaunchTemplateName: new(t.Name), VersionNumber: &v.Number, VersionDescription: api.Opt(v.Description),
		CreateTime: &v.Created, CreatedBy: &v.CreatedBy, DefaultVersion: new(v.Number == t.Default), LaunchTemplateData: data,
	}, err
}

// changeTemplate decides the call's action on a template that id or name tells, and runs fn with
// it. Who may not do it does not learn whether the template exists.
func (s *Service) changeTemplate(ctx context.Context, c *guard.Call, id, name *string, flag *bool, add func(*authz.Part),
	fn func(store.Tx, *templateRecord, map[string]string) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		t, missing := findTemplate(tx, c, api.Val(id), api.Val(name))
		if missing != nil && apierr.Code(missing) == "" {
			return missing
		}
		resource := cmp.Or(t.ID, api.Val(id), "*")
		tags, err := tagsOf(tx, c.Region, c.Account(), resource)
		if err != nil {
			return err
		}
		p := s.part(c, "ec2:"+c.Operation, "launch-template/"+resource, tags)
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
		if err := dryRun(flag); err != nil {
			return err
		}
		return fn(tx, &t, tags)
	})
}
