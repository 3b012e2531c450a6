package app_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/cloudtrailapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/testkit"
)

// testdata/step1.tar.gz is a data directory that the kagimori of step 1 wrote: a development
// server of account 123456789012 in us-west-2, stopped in good order.
const (
	fixtureKey        = "arn:aws:kms:us-west-2:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d"
	fixtureVolume     = "vol-06c55c84b4fa5162b"
	fixtureCiphertext = "S0cBARy+mRoUgG1JFBj6tFzb0DGkcNroZ7aZrK8ywUX/XXv99T7RTFUJdXMtd2VzdC0yJDFhMmIzYzRkLTVlNmYtMWEyYi0zYzRkLTVlNmYxYTJiM2M0ZAEK3WDBHhPZ85bN2imdkbuQGcVwQsD3myc+bR+TJuz4LQP3biyM/lK/JYwLz9s2yhmlohgm2+8/p0yFjukCrxnN" // context made=step1
)

// A later kagimori opens what step 1 wrote: keys decrypt, volumes open, groups and policies are there.
func TestOpensADataDirectoryOfStep1(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "testdata/step1.tar.gz", dir)
	s := testkit.Start(t, testkit.Options{Data: dir})
	c := s.In("us-west-2", testkit.Admin("123456789012"))

	blob, err := base64.StdEncoding.DecodeString(fixtureCiphertext)
	if err != nil {
		t.Fatal(err)
	}
	plain := testkit.Call[kmsapi.DecryptResponse](c.KMS, "Decrypt", &kmsapi.DecryptRequest{
		CiphertextBlob: blob, EncryptionContext: map[string]string{"made": "step1"},
	})
	if string(plain.Plaintext) != "a2VwdCBzaW5jZSBzdGVwIDE=" || *plain.KeyId != fixtureKey {
		t.Errorf("decrypted %q under %s", []byte(plain.Plaintext), *plain.KeyId)
	}
	key := testkit.Call[kmsapi.DescribeKeyResponse](c.KMS, "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: new("alias/step1")})
	if *key.KeyMetadata.Description != "of step 1" {
		t.Errorf("the key by its alias: %s", *key.KeyMetadata.Description)
	}
	list := testkit.Call[kmsapi.ListGrantsResponse](c.KMS, "ListGrants", &kmsapi.ListGrantsRequest{KeyId: new(fixtureKey)}).Grants
	if len(list) != 1 || *list[0].Name != "fixture" || *list[0].GranteePrincipal != serviceRole("123456789012") {
		t.Errorf("grants: %+v", list)
	}
	policy := testkit.Call[iamapi.GetUserPolicyResponse](c.IAM, "GetUserPolicy", &iamapi.GetUserPolicyRequest{UserName: new("keeper"), PolicyName: new("list")})
	if *policy.PolicyDocument == "" {
		t.Error("the policy of the user is gone")
	}
	groups := testkit.Call[autoscalingapi.AutoScalingGroupsType](c.AutoScaling, "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{}).AutoScalingGroups
	if len(groups) != 1 || *groups[0].LaunchTemplate.LaunchTemplateName != "step1" {
		t.Errorf("groups: %+v", groups)
	}
	events := testkit.Call[cloudtrailapi.LookupEventsResponse](c.CloudTrail, "LookupEvents", &cloudtrailapi.LookupEventsRequest{
		LookupAttributes: []cloudtrailapi.LookupAttribute{{AttributeKey: new("EventName"), AttributeValue: new("CreateAlias")}},
	}).Events
	if len(events) != 1 {
		t.Errorf("%d events of the alias that step 1 made", len(events))
	}
	launchFromFixture(t, s, c)
}

// launchFromFixture sees the group launch, with its volumes under the default key that step 1 chose,
// and the old volume open on the new instance.
func launchFromFixture(t *testing.T, s *testkit.Server, c testkit.Clients) {
	t.Helper()
	role := serviceRole("123456789012")
	testkit.Must(c.KMS, "PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: new(fixtureKey), Policy: keyPolicy(owner("123456789012"), use(role), attach(role))})
	testkit.Must(c.AutoScaling, "SetDesiredCapacity", &autoscalingapi.SetDesiredCapacityType{AutoScalingGroupName: new("step1"), DesiredCapacity: new(int32(1))})
	settle(s)
	ids := instancesOf(t, c, "step1", "InService")
	if len(ids) != 1 {
		t.Fatalf("instances in service: %v", ids)
	}
	attached := testkit.Call[ec2api.VolumeAttachment](c.EC2, "AttachVolume", &ec2api.AttachVolumeRequest{
		InstanceId: &ids[0], VolumeId: new(fixtureVolume), Device: new("/dev/sdf"),
	})
	if *attached.VolumeId != fixtureVolume {
		t.Errorf("attached: %+v", attached)
	}
	for _, v := range testkit.Call[ec2api.DescribeVolumesResult](c.EC2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{}).Volumes {
		if *v.State != "in-use" || *v.KmsKeyId != fixtureKey {
			t.Errorf("volume %s: %s under %s", *v.VolumeId, *v.State, *v.KmsKeyId)
		}
	}
}

// unpack writes the files of an archive; blocks of zeros become holes.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			err = writeSparse(path, h.Size, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func writeSparse(path string, size int64, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-at)])
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := f.WriteAt(buf[:n], at); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		at += int64(n)
	}
	return errors.Join(f.Truncate(size), f.Close())
}
