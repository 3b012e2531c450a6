package ec2_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/ec2api"
)

func (d *desk) vpc() string {
	d.T.Helper()
	return *ask[ec2api.DescribeVpcsResult](d, d.root(mine), &ec2api.DescribeVpcsRequest{}).Vpcs[0].VpcId
}

func (d *desk) tagsOf(filters ...ec2api.Filter) (all []string) {
	d.T.Helper()
	for _, t := range ask[ec2api.DescribeTagsResult](d, d.root(mine), &ec2api.DescribeTagsRequest{Filters: filters}).Tags {
		all = append(all, *t.ResourceType+" "+*t.Key+"="+*t.Value)
	}
	return all
}

func (d *desk) want(step string, want []string, filters ...ec2api.Filter) {
	d.T.Helper()
	if got := d.tagsOf(filters...); !slices.Equal(got, want) {
		d.T.Errorf("%s: got %q, want %q", step, got, want)
	}
}

func (d *desk) tag(ids []string, pairs ...string) {
	d.T.Helper()
	_, err := d.try(d.root(mine), &ec2api.CreateTagsRequest{Resources: ids, Tags: tagList(pairs...)})
	d.Must(err)
}

func TestTagsOfResources(t *testing.T) {
	d := newDesk(t)
	vpc, root := d.vpc(), d.root(mine)
	group := *ask[ec2api.DescribeSecurityGroupsResult](d, root, &ec2api.DescribeSecurityGroupsRequest{}).SecurityGroups[0].GroupId
	d.tag([]string{vpc, group}, "team", "blue", "empty", "")
	d.tag([]string{vpc}, "team", "green", "Team", "case")
	d.want("all", []string{"security-group empty=", "security-group team=blue", "vpc Team=case", "vpc empty=", "vpc team=green"})
	d.want("of a resource", []string{"vpc Team=case", "vpc empty=", "vpc team=green"}, filter("resource-id", vpc))
	d.want("by type and key", []string{"security-group team=blue"}, filter("resource-type", "security-group"), filter("key", "team"))
	d.want("by value", []string{"security-group team=blue", "vpc team=green"}, filter("value", "*e*"), filter("key", "t*"))
	d.want("by key and value in one", []string{"vpc team=green"}, filter("tag:team", "green"))

	vpcs := func(f ec2api.Filter) int {
		return len(ask[ec2api.DescribeVpcsResult](d, root, &ec2api.DescribeVpcsRequest{Filters: []ec2api.Filter{f}}).Vpcs)
	}
	if vpcs(filter("tag:team", "green")) != 1 || vpcs(filter("tag:team", "blue")) != 0 || vpcs(filter("tag-key", "Team")) != 1 || vpcs(filter("tag-key", "none")) != 0 || vpcs(filter("tag:none", "*")) != 0 || vpcs(filter("tag-value", "gr?en")) != 1 {
		t.Error("filters on tags of a VPC are wrong")
	}

	remove := func(tags ...ec2api.Tag) {
		t.Helper()
		_, err := d.try(root, &ec2api.DeleteTagsRequest{Resources: []string{vpc}, Tags: tags})
		d.Must(err)
	}
	remove(ec2api.Tag{Key: new("team"), Value: new("blue")}, ec2api.Tag{Key: new("empty"), Value: new("")}, ec2api.Tag{Key: new("absent")})
	d.want("only with that value", []string{"vpc Team=case", "vpc team=green"}, filter("resource-id", vpc))
	remove(ec2api.Tag{Key: new("team")})
	d.want("whatever the value", []string{"vpc Team=case"}, filter("resource-id", vpc))
	remove()
	d.want("all of a resource", []string{"security-group empty=", "security-group team=blue"})
	others := ask[ec2api.DescribeTagsResult](d, d.root(theirs), &ec2api.DescribeTagsRequest{}).Tags
	if len(others) != 0 {
		t.Errorf("another account sees %v", others)
	}
}

func TestTagsOfAnothersImageAreTheCallersOwn(t *testing.T) {
	d := newDesk(t)
	d.tag([]string{"ami-12c6146b"}, "blessed", "yes")
	in := &ec2api.DescribeImagesRequest{Filters: []ec2api.Filter{filter("tag:blessed", "yes")}, IncludeDeprecated: new(true)}
	if got := ask[ec2api.DescribeImagesResult](d, d.root(mine), in).Images; len(got) != 1 || *got[0].Tags[0].Value != "yes" {
		t.Errorf("got %v", got)
	}
	if got := ask[ec2api.DescribeImagesResult](d, d.root(theirs), in).Images; len(got) != 0 {
		t.Errorf("another account sees %v", got)
	}
}

func TestTagRestrictions(t *testing.T) {
	d := newDesk(t)
	vpc := d.vpc()
	many := make([]string, 0, 102)
	for i := range 51 {
		many = append(many, "k"+strconv.Itoa(i), "")
	}
	tests := []struct {
		name          string
		id            string
		tags          []ec2api.Tag
		code, message string
	}{
		{"reserved prefix of another case", vpc, tagList("AWS:x", "1"), "InvalidParameterValue", "Value ( AWS:x ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"},
		{"reserved prefix", vpc, tagList("aws:x", "1"), "InvalidParameterValue", "Value ( aws:x ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"},
		{"reserved in any case", vpc, tagList("AWS:x", "1"), "InvalidParameterValue", "*"},
		{"twice the same key", vpc, tagList("a", "1", "a", "2"), "InvalidParameterValue", "Duplicate tag key 'a' specified."},
		{"no key", vpc, tagList("", "1"), "InvalidParameterValue", "*"},
		{"no value", vpc, []ec2api.Tag{{Key: new("a")}}, "InvalidParameterValue", "Tag value cannot be null. Use empty string instead."},
		{"long key", vpc, tagList(strings.Repeat("あ", 129), "1"), "InvalidParameterValue", "*"},
		{"long value", vpc, tagList("a", strings.Repeat("あ", 257)), "InvalidParameterValue", "*"},
		{"too many", vpc, tagList(many...), "TagLimitExceeded", "The maximum number of Tags for a resource has been reached."},
		{"no tags", vpc, nil, "*", "*"},
		{"not an id", "vpc", tagList("a", "1"), "InvalidID", "The ID 'vpc' is not valid"},
		{"no such VPC", "vpc-12345678", tagList("a", "1"), "InvalidVpcID.NotFound", "*"},
		{"no such instance", "i-12345678", tagList("a", "1"), "InvalidInstanceID.NotFound", "The instance ID 'i-12345678' does not exist"},
		{"no such volume", "vol-12345678", tagList("a", "1"), "InvalidVolume.NotFound", "The volume 'vol-12345678' does not exist."},
		{"no such interface", "eni-12345678", tagList("a", "1"), "InvalidNetworkInterfaceID.NotFound", "*"},
		{"no such template", "lt-12345678", tagList("a", "1"), "InvalidLaunchTemplateId.NotFound", "*"},
	}
	for _, tt := range tests {
		in := &ec2api.CreateTagsRequest{Resources: []string{tt.id}, Tags: tt.tags}
		if tt.code == "*" {
			if _, err := d.try(d.root(mine), in); err == nil {
				t.Errorf("%s: accepted", tt.name)
			}
			continue
		}
		d.refuse(d.root(mine), in, tt.code, tt.message)
	}
	d.tag([]string{vpc}, tagPairs(strings.Repeat("あ", 128), strings.Repeat("い", 256))...)
	d.tag([]string{vpc}, many[:98]...)
	d.refuse(d.root(mine), &ec2api.CreateTagsRequest{Resources: []string{vpc}, Tags: tagList("one more", "")}, "TagLimitExceeded", "*")
	d.tag([]string{vpc}, "k0", "a new value is no new tag")
	d.refuse(d.root(mine), &ec2api.DeleteTagsRequest{Resources: []string{vpc}, Tags: []ec2api.Tag{{Key: new("aws:x")}}}, "InvalidParameterValue", "*")
}

func tagPairs(pairs ...string) []string { return pairs }

func TestAWSTagsAreForServiceLinkedRoles(t *testing.T) {
	d := newDesk(t)
	vpc := d.vpc()
	_, err := d.try(d.scaling(), &ec2api.CreateTagsRequest{Resources: []string{vpc}, Tags: tagList("aws:autoscaling:groupName", "web")})
	d.Must(err)
	d.tag([]string{vpc}, "own", "1")
	_, err = d.try(d.root(mine), &ec2api.DeleteTagsRequest{Resources: []string{vpc}})
	d.Must(err)
	d.want("deleting all tags", []string{"vpc aws:autoscaling:groupName=web"})
}

func TestTaggingIsDecidedOnEachResource(t *testing.T) {
	d := newDesk(t)
	vpc, root := d.vpc(), d.root(mine)
	subnets := ask[ec2api.DescribeSubnetsResult](d, root, &ec2api.DescribeSubnetsRequest{}).Subnets
	subnet := *subnets[0].SubnetId
	arn := func(resource string) string { return `"arn:aws:ec2:us-west-2:` + mine + `:` + resource + `"` }
	one := []string{vpc}
	tests := []struct {
		name, resource, condition string
		ids                       []string
		tags                      []ec2api.Tag
		ok                        bool
	}{
		{"the resource", arn("vpc/" + vpc), "", one, tagList("a", "1"), true},
		{"another one", arn("vpc/vpc-1"), "", one, tagList("a", "1"), false},
		{"one of two", arn("vpc/*"), "", []string{vpc, subnet}, tagList("a", "1"), false},
		{"the key", `"*"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, one, tagList("a", "1"), true},
		{"another key", `"*"`, `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, one, tagList("a", "1", "c", "2"), false},
		{"the value", `"*"`, `{"StringEquals":{"aws:RequestTag/a":"1"}}`, one, tagList("a", "1"), true},
		{"another value", `"*"`, `{"StringEquals":{"aws:RequestTag/a":"1"}}`, one, tagList("a", "2"), false},
		{"no creating action", `"*"`, `{"StringEquals":{"ec2:CreateAction":"RunInstances"}}`, one, tagList("a", "1"), false},
		{"a property", arn("subnet/*"), `{"StringEquals":{"ec2:AvailabilityZone":"` + *subnets[0].AvailabilityZone + `"}}`, []string{subnet}, tagList("a", "1"), true},
		{"another property", arn("subnet/*"), `{"StringEquals":{"ec2:AvailabilityZone":"us-west-2z"}}`, []string{subnet}, tagList("a", "1"), false},
		{"the owner of an image", `"arn:aws:ec2:us-west-2::image/*"`, `{"StringEquals":{"ec2:Owner":"amazon","aws:ResourceAccount":"137112412989"}}`, []string{"ami-12c6146b"}, tagList("a", "1"), true},
		{"another owner", `"*"`, `{"StringEquals":{"aws:ResourceAccount":"` + mine + `"}}`, []string{"ami-12c6146b"}, tagList("a", "1"), false},
		{"a public image", `"*"`, `{"Bool":{"ec2:Public":"false"}}`, []string{"ami-12c6146b"}, tagList("a", "1"), false},
		{"the VPC of it", arn("subnet/*"), `{"ArnEquals":{"ec2:Vpc":` + arn("vpc/"+vpc) + `}}`, []string{subnet}, tagList("a", "1"), true},
	}
	for i, tt := range tests {
		user := d.allowed("user"+strconv.Itoa(i), `"ec2:CreateTags"`, tt.resource, tt.condition)
		in := &ec2api.CreateTagsRequest{Resources: tt.ids, Tags: tt.tags}
		if tt.ok {
			if _, err := d.try(user, in); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		d.refuse(user, in, "UnauthorizedOperation", "*")
	}
	d.tag(one, "stage", "prod")
	for name, key := range map[string]string{"global": "aws:ResourceTag/stage", "own": "ec2:ResourceTag/stage"} {
		user := d.allowed(name, `"ec2:DeleteTags"`, `"*"`, `{"StringEquals":{"`+key+`":"prod"}}`)
		_, err := d.try(user, &ec2api.DeleteTagsRequest{Resources: one, Tags: []ec2api.Tag{{Key: new("a")}}})
		d.Must(err)
		d.refuse(user, &ec2api.DeleteTagsRequest{Resources: []string{subnet}, Tags: []ec2api.Tag{{Key: new("a")}}}, "UnauthorizedOperation", "*")
	}
}

func TestManyResourcesAreAllTaggedOrNone(t *testing.T) {
	d := newDesk(t)
	images := ask[ec2api.DescribeImagesResult](d, d.root(mine), &ec2api.DescribeImagesRequest{IncludeDeprecated: new(true)}).Images
	ids := []string{d.vpc()}
	for _, i := range images {
		ids = append(ids, *i.ImageId, *i.BlockDeviceMappings[0].Ebs.SnapshotId)
	}
	if len(ids) < 23 {
		t.Fatalf("only %d resources", len(ids))
	}
	d.refuse(d.root(mine), &ec2api.CreateTagsRequest{Resources: append(slices.Clone(ids), "vpc-12345678"), Tags: tagList("a", "1")}, "InvalidVpcID.NotFound", "*")
	d.refuse(d.root(mine), &ec2api.CreateTagsRequest{Resources: ids, Tags: tagList("a", "1"), DryRun: new(true)}, "DryRunOperation", "*")
	d.want("refused", nil)
	d.tag(ids, "a", "1")
	if got := len(d.tagsOf()); got != len(ids) {
		t.Errorf("%d of %d are tagged", got, len(ids))
	}
}
