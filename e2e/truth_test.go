package e2e_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// Outcomes in the table.
const (
	plain    = "unencrypted"
	standard = "the default key"
	kept     = "the snapshot's key"
	named    = "the key that is named"
)

// A truth is one row of the table of the page "How Amazon EBS encryption works": what becomes of a
// volume without a key and with one, which is refused where want is "".
type truth struct {
	asked, byDefault bool
	source           string
	want, withKey    string
}

var truths = []truth{
	{false, false, "empty", plain, ""},
	{false, false, "plain, own", plain, ""},
	{false, false, "encrypted, own", kept, ""},
	{false, false, "plain, shared", plain, ""},
	{false, false, "encrypted, shared", standard, ""},
	{true, false, "empty", standard, named},
	{true, false, "plain, own", standard, named},
	{true, false, "encrypted, own", kept, named},
	{true, false, "plain, shared", standard, named},
	{true, false, "encrypted, shared", standard, named},
	{false, true, "empty", standard, ""},
	{false, true, "plain, own", standard, ""},
	{false, true, "encrypted, own", kept, ""},
	{false, true, "plain, shared", standard, ""},
	{false, true, "encrypted, shared", standard, ""},
	{true, true, "empty", standard, named},
	{true, true, "plain, own", standard, named},
	{true, true, "encrypted, own", kept, named},
	{true, true, "plain, shared", standard, named},
	{true, true, "encrypted, shared", standard, named},
}

func TestWhichKeyEncryptsAVolume(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprintf("by default %t", on), func(t *testing.T) {
			c := admin(t)
			other := adminOf(c.url, seed.NewAccount())
			keys := map[string]string{standard: c.key(t, ""), kept: c.key(t, ""), named: c.key(t, ""), plain: ""}
			foreign := other.key(t, seed.Policy(seed.Full(seed.Root(other.account), seed.Root(c.account))))
			sources := map[string]string{
				"empty": "", "plain, own": c.filledSnapshot(t, ""), "encrypted, own": c.filledSnapshot(t, keys[kept]),
				"plain, shared": other.filledSnapshot(t, ""), "encrypted, shared": other.filledSnapshot(t, foreign),
			}
			for _, name := range []string{"plain, shared", "encrypted, shared"} {
				other.shareSnapshot(t, sources[name], c.account)
			}
			c.defaultKey(t, keys[standard])
			c.byDefault(t, on)
			want := map[string]string{} // key by volume
			for _, row := range truths {
				if row.byDefault == on {
					row.ask(t, c, sources[row.source], keys, want)
				}
			}
			for id, key := range want {
				c.available(t, id)
				if got := c.keyOf(t, id); got != key {
					t.Errorf("volume %s is under %q, want %q", id, got, key)
				}
			}
			if n := len(c.volumes(t)); n != len(want) {
				t.Errorf("there are %d volumes, want %d", n, len(want))
			}
			for name, key := range map[string]string{standard: keys[standard], kept: keys[kept], named: keys[named]} {
				if n := len(c.grants(t, key)); n != 0 {
					t.Errorf("%d grants are left on %s", n, name)
				}
			}
			if n := len(other.grants(t, foreign)); n != 0 {
				t.Errorf("%d grants are left on the key of the other account", n)
			}
		})
	}
}

// ask asks for the volumes of a row, without and with a key, and adds them to want.
func (row truth) ask(t *testing.T, c *client, snapshot string, keys, want map[string]string) {
	t.Helper()
	flags := []*bool{new(true)}
	if !row.asked {
		flags = []*bool{nil, new(false)} // to leave it out means the same as false
	}
	for _, flag := range flags {
		in := ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), Encrypted: flag}
		if snapshot == "" {
			in.Size = new(int32(1))
		} else {
			in.SnapshotId = &snapshot
		}
		without, with := in, in // the SDK writes a client token into each
		vol := must(c.ec2.CreateVolume(t.Context(), &without))(t)
		if *vol.Encrypted != (row.want != plain) || vol.State != ec2types.VolumeStateCreating {
			t.Errorf("%+v: the answer is encrypted %t, %s", row, *vol.Encrypted, vol.State)
		}
		want[*vol.VolumeId] = keys[row.want]
		with.KmsKeyId = new(keys[named])
		vol, err := c.ec2.CreateVolume(t.Context(), &with)
		if row.withKey == "" {
			refused(vol, err)(t, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
			continue
		}
		want[*must(vol, err)(t).VolumeId] = keys[row.withKey]
	}
}
