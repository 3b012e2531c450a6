package ec2

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
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
func (s *Service) templateOperations() map[string]guard.Handler { return map[string]guard.Handler{} }

// tagOperations are the handlers of tags.
func (s *Service) tagOperations() map[string]guard.Handler { return map[string]guard.Handler{} }
