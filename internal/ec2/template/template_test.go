package template_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/template"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
)

// A desk has the operations on launch templates.
type desk struct{ *ec2test.Desk }

func newDesk(t *testing.T) *desk {
	return &desk{ec2test.New(t, func(g *guard.Guard) map[string]guard.Handler { return template.New(g).Operations() })}
}

func ofType(instanceType string) *ec2api.RequestLaunchTemplateData {
	return &ec2api.RequestLaunchTemplateData{InstanceType: &instanceType}
}

func (d *desk) template(name string) *ec2api.LaunchTemplate {
	d.T.Helper()
	return ec2test.Ask[ec2api.CreateLaunchTemplateResult](d.Desk, d.Root(), &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: &name, LaunchTemplateData: ofType("t3.micro"),
	}).LaunchTemplate
}

// version adds a version with an instance type.
func (d *desk) version(id *string, instanceType string) int64 {
	d.T.Helper()
	return *ec2test.Ask[ec2api.CreateLaunchTemplateVersionResult](d.Desk, d.Root(), &ec2api.CreateLaunchTemplateVersionRequest{
		LaunchTemplateId: id, LaunchTemplateData: ofType(instanceType),
	}).LaunchTemplateVersion.VersionNumber
}

// versions are the numbers that a request lists, in order.
func (d *desk) versions(in ec2api.DescribeLaunchTemplateVersionsRequest) (numbers []int64) {
	d.T.Helper()
	for _, v := range ec2test.Ask[ec2api.DescribeLaunchTemplateVersionsResult](d.Desk, d.Root(), &in).LaunchTemplateVersions {
		numbers = append(numbers, *v.VersionNumber)
	}
	return numbers
}

func TestTemplateLife(t *testing.T) {
	d := newDesk(t)
	root := d.Root()
	made := ec2test.Ask[ec2api.CreateLaunchTemplateResult](d.Desk, root, &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.micro"), VersionDescription: new("first"),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("launch-template"), Tags: ec2test.Tags("team", "blue")}},
	}).LaunchTemplate
	if *made.DefaultVersionNumber != 1 || *made.LatestVersionNumber != 1 || *made.CreatedBy != "arn:aws:iam::"+ec2test.Account+":root" || len(made.Tags) != 1 ||
		!strings.HasPrefix(*made.LaunchTemplateId, "lt-0") || len(*made.LaunchTemplateId) != 20 {
		t.Errorf("made %+v", made)
	}
	for range 2 {
		d.version(made.LaunchTemplateId, "t3.small")
	}
	changed := ec2test.Ask[ec2api.ModifyLaunchTemplateResult](d.Desk, root, &ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("2")}).LaunchTemplate
	if *changed.DefaultVersionNumber != 2 || *changed.LatestVersionNumber != 3 || len(changed.Tags) != 1 {
		t.Errorf("changed %+v", changed)
	}
	found := ec2test.Ask[ec2api.DescribeLaunchTemplatesResult](d.Desk, root, &ec2api.DescribeLaunchTemplatesRequest{
		LaunchTemplateNames: []string{"web"}, Filters: []ec2api.Filter{ec2test.Filter("tag:team", "blue"), ec2test.Filter("launch-template-name", "w*")},
	}).LaunchTemplates
	if len(found) != 1 || *found[0].DefaultVersionNumber != 2 {
		t.Errorf("found %+v", found)
	}
	gone := ec2test.Ask[ec2api.DeleteLaunchTemplateResult](d.Desk, root, &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: made.LaunchTemplateId}).LaunchTemplate
	if *gone.LaunchTemplateName != "web" {
		t.Errorf("deleted %+v", gone)
	}
	d.Refuse(root, &ec2api.DescribeLaunchTemplatesRequest{LaunchTemplateIds: []string{*made.LaunchTemplateId}}, "InvalidLaunchTemplateId.NotFound",
		"The specified launch template, with template ID "+*made.LaunchTemplateId+", does not exist.")
	if n := d.Count("ec2/tag"); n != 0 {
		t.Errorf("a deleted template has tags of %d resources", n)
	}
	if again := d.template("web"); *again.LaunchTemplateId == *made.LaunchTemplateId {
		t.Error("the id is used again")
	}
}

func TestTemplateVersionsAreChosen(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	other := d.template("other")
	for _, kind := range []string{"t3.small", "m5.large", "t3.small"} {
		d.version(made.LaunchTemplateId, kind)
	}
	ec2test.Ask[ec2api.ModifyLaunchTemplateResult](d.Desk, d.Root(), &ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("2")})
	type request = ec2api.DescribeLaunchTemplateVersionsRequest
	tests := []struct {
		name string
		in   request
		want []int64
	}{
		{"newest first", request{}, []int64{4, 3, 2, 1}},
		{"by number", request{Versions: []string{"1", "3"}}, []int64{3, 1}},
		{"by name", request{Versions: []string{"$Latest", "$Default"}}, []int64{4, 2}},
		{"from", request{MinVersion: new("3")}, []int64{4, 3}},
		{"from before the first", request{MinVersion: new("0"), MaxVersion: new("$Latest")}, []int64{4, 3, 2, 1}},
		{"to", request{MaxVersion: new("2")}, []int64{2, 1}},
		{"between", request{MinVersion: new("2"), MaxVersion: new("3")}, []int64{3, 2}},
		{"the default one", request{Filters: []ec2api.Filter{ec2test.Filter("is-default-version", "true")}}, []int64{2}},
		{"the latest one", request{Filters: []ec2api.Filter{ec2test.Filter("is-latest", "true")}}, []int64{4}},
		{"by instance type", request{Filters: []ec2api.Filter{ec2test.Filter("instance-type", "t3.*")}}, []int64{4, 2, 1}},
		{"by what is absent", request{Filters: []ec2api.Filter{ec2test.Filter("image-id", "*")}}, nil},
	}
	for _, tt := range tests {
		tt.in.LaunchTemplateName = new("web")
		if got := d.versions(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	out := ec2test.Ask[ec2api.DescribeLaunchTemplateVersionsResult](d.Desk, d.Root(), &request{Versions: []string{"$Default"}}).LaunchTemplateVersions
	var all []string
	for _, v := range out {
		all = append(all, fmt.Sprint(*v.LaunchTemplateName, *v.VersionNumber))
	}
	if slices.Sort(all); !slices.Equal(all, []string{"other1", "web2"}) || *other.DefaultVersionNumber != 1 {
		t.Errorf("default versions of all: %v", all)
	}
	var pages []int64
	in := request{LaunchTemplateId: made.LaunchTemplateId, MaxResults: new(int32(3))}
	for {
		page := ec2test.Ask[ec2api.DescribeLaunchTemplateVersionsResult](d.Desk, d.Root(), &in)
		for _, v := range page.LaunchTemplateVersions {
			pages = append(pages, *v.VersionNumber)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if !slices.Equal(pages, []int64{4, 3, 2, 1}) {
		t.Errorf("in pages: %v", pages)
	}
}

func TestDeletedVersionNumbersAreNotUsedAgain(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	for range 3 {
		d.version(made.LaunchTemplateId, "t3.small")
	}
	out := ec2test.Ask[ec2api.DeleteLaunchTemplateVersionsResult](d.Desk, d.Root(), &ec2api.DeleteLaunchTemplateVersionsRequest{
		LaunchTemplateId: made.LaunchTemplateId, Versions: []string{"1", "2", "4", "9"},
	})
	var good []int64
	bad := map[int64]string{}
	for _, v := range out.SuccessfullyDeletedLaunchTemplateVersions {
		good = append(good, *v.VersionNumber)
	}
	for _, v := range out.UnsuccessfullyDeletedLaunchTemplateVersions {
		bad[*v.VersionNumber] = *v.ResponseError.Code
	}
	if !slices.Equal(good, []int64{2, 4}) || len(bad) != 2 || bad[1] != "unexpectedError" || bad[9] != "launchTemplateVersionDoesNotExist" {
		t.Errorf("deleted %v, not %v", good, bad)
	}
	if got := d.versions(ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateName: new("web"), Versions: []string{"$Latest"}}); !slices.Equal(got, []int64{3}) {
		t.Errorf("latest: %v", got)
	}
	if n := d.version(made.LaunchTemplateId, "t3.small"); n != 5 {
		t.Errorf("the next version is %d", n)
	}
}

func TestManyVersionsAreDeletedWithTheirTemplate(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	var numbers []string
	for range 190 {
		numbers = append(numbers, fmt.Sprint(d.version(made.LaunchTemplateId, "t3.small")))
	}
	out := ec2test.Ask[ec2api.DeleteLaunchTemplateVersionsResult](d.Desk, d.Root(), &ec2api.DeleteLaunchTemplateVersionsRequest{
		LaunchTemplateId: made.LaunchTemplateId, Versions: numbers[:100],
	})
	if n := len(out.SuccessfullyDeletedLaunchTemplateVersions); n != 100 {
		t.Errorf("%d versions deleted", n)
	}
	ec2test.Ask[ec2api.DeleteLaunchTemplateResult](d.Desk, d.Root(), &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: made.LaunchTemplateId})
	if n := d.Count("ec2/templateversion"); n != 0 {
		t.Errorf("%d versions are left in the store", n)
	}
}

func TestVersionsTakeOverFromTheirSource(t *testing.T) {
	d := newDesk(t)
	root := d.Root()
	made := ec2test.Ask[ec2api.CreateLaunchTemplateResult](d.Desk, root, &ec2api.CreateLaunchTemplateRequest{
		LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{
			InstanceType: new("t3.micro"), ImageId: new("ami-12c6146b"), UserData: new(secret.String("YQ==")),
		},
	}).LaunchTemplate
	large := ofType("m5.large")
	script := &ec2api.RequestLaunchTemplateData{UserData: new(secret.String("Yg=="))}
	tests := []struct {
		source *string
		data   *ec2api.RequestLaunchTemplateData
		want   string // type, image and user data
	}{
		{new("$Latest"), large, "m5.large ami-12c6146b YQ=="},
		{nil, large, "m5.large  "},
		{new("1"), script, "t3.micro ami-12c6146b Yg=="},
		{new("$Default"), script, "t3.micro ami-12c6146b Yg=="},
	}
	for _, tt := range tests {
		v := ec2test.Ask[ec2api.CreateLaunchTemplateVersionResult](d.Desk, root, &ec2api.CreateLaunchTemplateVersionRequest{
			LaunchTemplateId: made.LaunchTemplateId, SourceVersion: tt.source, LaunchTemplateData: tt.data,
		}).LaunchTemplateVersion
		data := v.LaunchTemplateData
		got := api.Val(data.InstanceType) + " " + api.Val(data.ImageId) + " " + api.Val(data.UserData).Reveal()
		if got != tt.want || *v.DefaultVersion {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	d.Refuse(root, &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateId: made.LaunchTemplateId, SourceVersion: new("7"), LaunchTemplateData: ofType("m5.large")},
		"InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version 7 for the launch template with ID "+*made.LaunchTemplateId+".")
}

func TestTemplateRequestsAreIdempotent(t *testing.T) {
	d := newDesk(t)
	root := d.Root()
	in := &ec2api.CreateLaunchTemplateRequest{ClientToken: new("one"), LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.micro")}
	first := ec2test.Ask[ec2api.CreateLaunchTemplateResult](d.Desk, root, in).LaunchTemplate
	if again := ec2test.Ask[ec2api.CreateLaunchTemplateResult](d.Desk, root, in).LaunchTemplate; *again.LaunchTemplateId != *first.LaunchTemplateId {
		t.Error("a second template was made")
	}
	other := *in
	other.LaunchTemplateData = &ec2api.RequestLaunchTemplateData{InstanceType: new("t3.micro"), UserData: new(secret.String("YQ=="))}
	d.Refuse(root, &other, "IdempotentParameterMismatch", "*")
	version := &ec2api.CreateLaunchTemplateVersionRequest{ClientToken: new("one"), LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.small")}
	for range 2 {
		if v := ec2test.Ask[ec2api.CreateLaunchTemplateVersionResult](d.Desk, root, version).LaunchTemplateVersion; *v.VersionNumber != 2 {
			t.Errorf("version %d was made", *v.VersionNumber)
		}
	}
	d.Refuse(root, &ec2api.CreateLaunchTemplateVersionRequest{ClientToken: new("one"), LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.large")},
		"IdempotentParameterMismatch", "*")
	d.Advance(25 * time.Hour)
	if v := ec2test.Ask[ec2api.CreateLaunchTemplateVersionResult](d.Desk, root, version).LaunchTemplateVersion; *v.VersionNumber != 3 {
		t.Errorf("a day later version %d was made", *v.VersionNumber)
	}
}

func TestTemplateErrors(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	long := new(secret.String(strings.Repeat("YWFh", 5500)))
	tests := []struct {
		name          string
		in            any
		code, message string
	}{
		{"name taken", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.micro")},
			"InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."},
		{"name with a blank", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("my web"), LaunchTemplateData: ofType("t3.micro")},
			"InvalidLaunchTemplateName.MalformedException", "*"},
		{"name too short", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("ab"), LaunchTemplateData: ofType("t3.micro")},
			"InvalidLaunchTemplateName.MalformedException", "*"},
		{"user data", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("abc"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{UserData: new(secret.String("?"))}},
			"InvalidUserData.Malformed", "*"},
		{"long user data", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("abc"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{UserData: long}},
			"InvalidParameterValue", "*"},
		{"tags of an instance", &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("abc"), LaunchTemplateData: ofType("t3.micro"),
			TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: ec2test.Tags("a", "1")}}},
			"InvalidParameterValue", "The value for the ResourceType member of the TagSpecification request parameter must be ‘launch-template’. Verify the ResourceType and try again"},
		{"neither id nor name", &ec2api.DeleteLaunchTemplateRequest{}, "MissingParameter", "*"},
		{"id and name", &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: made.LaunchTemplateId, LaunchTemplateName: new("web")}, "InvalidParameterCombination", "*"},
		{"no such name", &ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("none"), DefaultVersion: new("1")},
			"InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name none, does not exist."},
		{"no such names", &ec2api.DescribeLaunchTemplatesRequest{LaunchTemplateNames: []string{"web", "none"}},
			"InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist."},
		{"malformed id", &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: new("lt-web")}, "InvalidLaunchTemplateId.Malformed", "*"},
		{"no such default", &ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("2")},
			"InvalidLaunchTemplateId.VersionNotFound", "*"},
		{"no version", &ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("new")}, "InvalidParameterValue", "*"},
		{"no such versions", &ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateName: new("web"), Versions: []string{"1", "5"}},
			"InvalidLaunchTemplateId.VersionNotFound", "*"},
		{"versions and bounds", &ec2api.DescribeLaunchTemplateVersionsRequest{LaunchTemplateName: new("web"), Versions: []string{"1"}, MinVersion: new("1")},
			"InvalidParameterCombination", "*"},
		{"numbers for all templates", &ec2api.DescribeLaunchTemplateVersionsRequest{Versions: []string{"1"}}, "InvalidParameterValue", "*"},
		{"dry run", &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateName: new("web"), DryRun: new(true)}, "DryRunOperation", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { d.Refuse(d.Root(), tt.in, tt.code, tt.message) })
	}
	d.Refuse(d.Lookup("444455556666"), &ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: made.LaunchTemplateId}, "InvalidLaunchTemplateId.NotFound", "*")
}

func TestTemplatesAreDecidedByTags(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	blue := []ec2api.TagSpecification{{ResourceType: new("launch-template"), Tags: ec2test.Tags("team", "blue")}}
	create := func(name string, tags []ec2api.TagSpecification) any {
		return &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: &name, LaunchTemplateData: ofType("t3.micro"), TagSpecifications: tags}
	}
	templates := `"arn:aws:ec2:us-west-2:` + ec2test.Account + `:launch-template/*"`
	maker := d.Allowed("maker", `"ec2:CreateLaunchTemplate"`, templates, "")
	if _, err := d.Try(maker, create("plain", nil)); err != nil {
		t.Errorf("without tags: %v", err)
	}
	d.Refuse(maker, create("tagged", blue), "UnauthorizedOperation", "*")
	tagger := d.User(ec2test.Account, "tagger", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:CreateLaunchTemplate","Resource":`+templates+`,"Condition":{"StringEquals":{"aws:RequestTag/team":"blue"}}},
		{"Effect":"Allow","Action":"ec2:CreateTags","Resource":`+templates+`,"Condition":{"StringEquals":{"ec2:CreateAction":"CreateLaunchTemplate"}}}]}`)
	if _, err := d.Try(tagger, create("tagged", blue)); err != nil {
		t.Errorf("with the tag: %v", err)
	}
	d.Refuse(tagger, create("untagged", nil), "UnauthorizedOperation", "*")

	owner := d.Allowed("owner", `"ec2:*"`, templates, `{"StringEquals":{"aws:ResourceTag/team":"blue"}}`)
	if _, err := d.Try(owner, &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateName: new("tagged"), LaunchTemplateData: ofType("t3.small")}); err != nil {
		t.Errorf("the own template: %v", err)
	}
	for _, in := range []any{
		&ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.small")},
		&ec2api.ModifyLaunchTemplateRequest{LaunchTemplateName: new("web"), DefaultVersion: new("1")},
		&ec2api.DeleteLaunchTemplateVersionsRequest{LaunchTemplateName: new("web"), Versions: []string{"1"}},
		&ec2api.DeleteLaunchTemplateRequest{LaunchTemplateId: made.LaunchTemplateId},
		&ec2api.DeleteLaunchTemplateRequest{LaunchTemplateName: new("none")}, // not even that it does not exist
	} {
		d.Refuse(owner, in, "UnauthorizedOperation", "*")
	}
}

func TestTemplateLimits(t *testing.T) {
	d := newDesk(t)
	made := d.template("web")
	d.Update(func(tx store.Tx) error {
		key := store.Key(guardtest.Region, ec2test.Account, *made.LaunchTemplateId)
		rec, _, err := tx.Get("ec2/template", key)
		if err != nil {
			return err
		}
		return tx.Put("ec2/template", key, bytes.Replace(rec.Data, []byte(`"count":1`), []byte(`"count":10000`), 1))
	})
	d.Refuse(d.Root(), &ec2api.CreateLaunchTemplateVersionRequest{LaunchTemplateName: new("web"), LaunchTemplateData: ofType("t3.small")},
		"ResourceLimitExceeded", "*")

	for chunk := range slices.Chunk(make([]struct{}, 4999), 99) {
		n := d.Count("ec2/templatename")
		d.Update(func(tx store.Tx) error {
			for i := range chunk {
				if err := tx.Put("ec2/templatename", store.Key(guardtest.Region, ec2test.Account, fmt.Sprint("name", n+i)), []byte("\x01\"lt-12345678\"")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	d.Refuse(d.Root(), &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("more"), LaunchTemplateData: ofType("t3.small")},
		"ResourceLimitExceeded", "*")
	if _, err := d.Try(d.Lookup("444455556666"), &ec2api.CreateLaunchTemplateRequest{LaunchTemplateName: new("more"), LaunchTemplateData: ofType("t3.small")}); err != nil {
		t.Errorf("another account: %v", err)
	}
}
