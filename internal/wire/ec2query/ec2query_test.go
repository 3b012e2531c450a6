package ec2query_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/ec2query"
)

func newEC2(t testing.TB) (*ec2query.Codec, map[string]*api.Operation) {
	t.Helper()
	svc := ec2api.Service()
	c, err := ec2query.New(svc)
	if err != nil {
		t.Fatal(err)
	}
	return c, svc.Operations
}

const runInstances = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&InstanceType=m5.large&MinCount=1&MaxCount=2&ClientToken=t-1&DryRun=true" +
	"&BlockDeviceMapping.1.DeviceName=%2Fdev%2Fxvda&BlockDeviceMapping.1.Ebs.VolumeSize=8&BlockDeviceMapping.1.Ebs.Encrypted=true" +
	"&BlockDeviceMapping.1.Ebs.KmsKeyId=alias%2Fapp&BlockDeviceMapping.1.Ebs.DeleteOnTermination=true" +
	"&BlockDeviceMapping.2.DeviceName=%2Fdev%2Fxvdb&BlockDeviceMapping.2.NoDevice=" +
	"&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=web" +
	"&TagSpecification.2.ResourceType=volume&TagSpecification.2.Tag.1.Key=Name&TagSpecification.2.Tag.1.Value=web" +
	"&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2&IamInstanceProfile.Name=p&UserData=IyEvYmluL3No"

func TestRunInstances(t *testing.T) {
	c, ops := newEC2(t)
	got, err := c.DecodeRequest(ops["RunInstances"], []byte(runInstances))
	if err != nil {
		t.Fatal(err)
	}
	tags := []ec2api.Tag{{Key: new("Name"), Value: new("web")}}
	want := &ec2api.RunInstancesRequest{
		ImageId: new("ami-1"), InstanceType: new("m5.large"), MinCount: new(int32(1)), MaxCount: new(int32(2)), ClientToken: new("t-1"), DryRun: new(true),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{
			{DeviceName: new("/dev/xvda"), Ebs: &ec2api.EbsBlockDevice{VolumeSize: new(int32(8)), Encrypted: new(true), KmsKeyId: new("alias/app"), DeleteOnTermination: new(true)}},
			{DeviceName: new("/dev/xvdb"), NoDevice: new("")},
		},
		TagSpecifications:  []ec2api.TagSpecification{{ResourceType: new("instance"), Tags: tags}, {ResourceType: new("volume"), Tags: tags}},
		SecurityGroupIds:   []string{"sg-1", "sg-2"},
		IamInstanceProfile: &ec2api.IamInstanceProfileSpecification{Name: new("p")},
		UserData:           new(secret.String("IyEvYmluL3No")),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDescribeWithFilters(t *testing.T) {
	c, ops := newEC2(t)
	got, err := c.DecodeRequest(ops["DescribeVolumes"], []byte("VolumeId.1=vol-1&Filter.2.Name=encrypted&Filter.2.Value.1=true&Filter.5.Name=size&Filter.5.Value.1=8&Filter.5.Value.2=9&MaxResults=50"))
	want := &ec2api.DescribeVolumesRequest{
		VolumeIds: []string{"vol-1"}, MaxResults: new(int32(50)),
		Filters: []ec2api.Filter{{Name: new("encrypted"), Values: []string{"true"}}, {Name: new("size"), Values: []string{"8", "9"}}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

// A text without a number is a list of one.
func TestAListOfOne(t *testing.T) {
	c, ops := newEC2(t)
	got, err := c.DecodeRequest(ops["DescribeSnapshots"], []byte("RestorableBy=self&Filter.1.Name=status&Filter.1.Value=completed&Owner="))
	want := &ec2api.DescribeSnapshotsRequest{
		RestorableByUserIds: []string{"self"}, OwnerIds: []string{}, Filters: []ec2api.Filter{{Name: new("status"), Values: []string{"completed"}}},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestDecodeErrors(t *testing.T) {
	c, ops := newEC2(t)
	for _, tt := range []struct{ body, want string }{
		{"Nonsense=1", "UnknownParameter: The parameter Nonsense is not recognized"},
		{"B=1&A.1=2", "UnknownParameter: The parameter A is not recognized"},
		{"imageId=ami-1", "UnknownParameter: The parameter imageId is not recognized"},
		{"BlockDeviceMapping.1.Ebs.Size=1", "UnknownParameter: The parameter BlockDeviceMapping.1.Ebs.Size is not recognized"},
		{"BlockDeviceMapping.1.Ebs.Action=1", "UnknownParameter: The parameter BlockDeviceMapping.1.Ebs.Action is not recognized"},
		{"BlockDeviceMapping.member.1.DeviceName=x", "UnknownParameter: The parameter BlockDeviceMapping.member is not recognized"},
		{"BlockDeviceMapping=sg-1", "UnknownParameter: The parameter BlockDeviceMapping is not recognized"},
		{"SecurityGroupId=sg-1&SecurityGroupId.2=sg-2", "UnknownParameter: The parameter SecurityGroupId is not recognized"},
		{"IamInstanceProfile=p", "UnknownParameter: The parameter IamInstanceProfile is not recognized"},
		{"MinCount=one", "InvalidParameterValue: Value (one) for parameter MinCount is invalid. It is not an integer."},
		{"EbsOptimized=1", "InvalidParameterValue: Value (1) for parameter EbsOptimized is invalid. It is not a boolean."},
		{"MinCount=1&MinCount=1", "MalformedQueryString: The request gives a parameter more than once."},
	} {
		in, err := c.DecodeRequest(ops["RunInstances"], []byte(tt.body))
		if err == nil || err.Error() != tt.want || in != nil {
			t.Errorf("%s\n got %v\nwant %s", tt.body, err, tt.want)
		}
	}
	presigned := "Action=DescribeVpcs&Version=2016-11-15&X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&X-Amz-Signature=s"
	dated := "Action=DescribeVpcs&Version=2014-10-01&Timestamp=2014-11-05T00%3A00%3A00Z"
	for _, body := range []string{presigned, dated} {
		if _, err := c.DecodeRequest(ops["DescribeVpcs"], []byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestEncode(t *testing.T) {
	c, ops := newEC2(t)
	out := &ec2api.DescribeVolumesResult{Volumes: []ec2api.Volume{{
		VolumeId: new("vol-1"), Size: new(int32(8)), Encrypted: new(true), State: new("available"), Tags: []ec2api.Tag{},
		CreateTime:  new(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)),
		Attachments: []ec2api.VolumeAttachment{{InstanceId: new("i-1")}},
	}}}
	got, err := c.EncodeResponse(ops["DescribeVolumes"], out, "r-1")
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
		`<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><volumeSet><item><tagSet/><volumeId>vol-1</volumeId><size>8</size>` +
		`<status>available</status><createTime>2026-03-04T05:06:07.000Z</createTime><attachmentSet><item><instanceId>i-1</instanceId></item></attachmentSet><encrypted>true</encrypted></item></volumeSet></DescribeVolumesResponse>`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	gotErr := string(c.EncodeError(wire.Fault{Code: "InvalidVolume.NotFound", Message: "The volume 'vol-<1>' does not exist."}, "r-1"))
	wantErr := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidVolume.NotFound</Code><Message>The volume 'vol-&lt;1&gt;' does not exist.</Message></Error></Errors><RequestID>r-1</RequestID></Response>"
	if gotErr != wantErr {
		t.Errorf("got %s", gotErr)
	}
	if _, err := ec2query.New(iamapi.Service()); err == nil {
		t.Error("iam was accepted")
	}
}

// So has the only list of an operation that the model does not page, and what a change of many things did and did not,
// but not a list beside others, which is one of the things that a request can ask for.
func TestTheOnlyListIsWritten(t *testing.T) {
	c, ops := newEC2(t)
	for op, tc := range map[string]struct {
		out  any
		want string
	}{
		"DescribeNatGateways":    {&ec2api.DescribeNatGatewaysResult{}, "<natGatewaySet/>"},
		"DescribeKeyPairs":       {&ec2api.DescribeKeyPairsResult{}, "<keySet/>"},
		"DescribeImageAttribute": {&ec2api.ImageAttribute{}, ""},
		"CreateVolume":           {&ec2api.Volume{}, ""},
		"DeleteVpcEndpoints":     {&ec2api.DeleteVpcEndpointsResult{}, "<unsuccessful/>"},
		"DeleteLaunchTemplateVersions": {&ec2api.DeleteLaunchTemplateVersionsResult{},
			"<successfullyDeletedLaunchTemplateVersionSet/><unsuccessfullyDeletedLaunchTemplateVersionSet/>"},
	} {
		got, err := c.EncodeResponse(ops[op], tc.out, "r-1")
		_, rest, _ := strings.Cut(string(got), "</requestId>")
		if err != nil || rest != tc.want+"</"+op+"Response>" {
			t.Errorf("%s: %v %s", op, err, got)
		}
	}
}

// A list without items has an element all the same: clients count its items.
func TestEmptyListsAreWritten(t *testing.T) {
	c, ops := newEC2(t)
	out := &ec2api.DescribeInstancesResult{NextToken: new("t")}
	got, err := c.EncodeResponse(ops["DescribeInstances"], out, "r-1")
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
		`<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><nextToken>t</nextToken><reservationSet/></DescribeInstancesResponse>`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	if out.Reservations != nil {
		t.Error("the answer of the caller was changed")
	}
}

// FuzzDecode: whatever decodes, and is not lost for having no members, encodes to something that
// decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add("RunInstances", runInstances)
	f.Add("DescribeVolumes", "Filter.1.Name=a&Filter.1.Value.1=b&DryRun=false")
	f.Add("CreateTags", "ResourceId.1=i-1&Tag.1.Key=a&Tag.1.Value=%00")
	f.Add("CreateLaunchTemplate", "LaunchTemplateName=a&LaunchTemplateData.BlockDeviceMapping.1.Ebs.Iops=1")
	c, ops := newEC2(f)
	f.Fuzz(func(t *testing.T, name, body string) {
		op := ops[name]
		if op == nil {
			return
		}
		in, err := c.DecodeRequest(op, []byte(body))
		if err != nil {
			if apierr.Code(err) == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		_ = c.Table().Validate(in)
		once, _, err := c.EncodeRequest(op, in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := c.DecodeRequest(op, once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, _, err := c.EncodeRequest(op, back)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}
