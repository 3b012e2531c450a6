package ec2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/objects"
)

// keyIn makes a key of an account, which both accounts of the tests may use in full.
func (h *house) keyIn(account string) string {
	h.T.Helper()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + mine + `","` + theirs + `"]},"Action":"kms:*","Resource":"*"}]}`
	out, err := h.Invoke(h.T.Context(), h.root(account), kmsapi.Service(), h.kms.Operations(), "CreateKey", &kmsapi.CreateKeyRequest{Policy: &policy})
	h.Must(err)
	return *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
}

// managedKey is the AWS managed key of account mine.
func (h *house) managedKey() string {
	h.T.Helper()
	key, err := h.kms.ResolveKey(h.T.Context(), region, mine, "alias/aws/ebs")
	h.Must(err)
	return key
}

// filled makes a volume of 1 GiB that holds a text, not attached.
func (h *house) filled(as guard.Caller, key, text string) string {
	h.T.Helper()
	in := &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1)), KmsKeyId: api.Opt(key)}
	if key != "" {
		in.Encrypted = new(true)
	}
	id := *ask[ec2api.Volume](h.desk, as, in).VolumeId
	h.Advance(time.Second)
	h.attached(as, id, func(disk io.WriterAt) error {
		_, err := disk.WriteAt([]byte(text), 1<<20)
		return err
	})
	return id
}

// attached attaches a volume to an instance, which exists for that only, while fn runs.
func (h *house) attached(as guard.Caller, volume string, fn func(disk io.WriterAt) error) {
	h.T.Helper()
	account := as.Principal.Account
	run := *ask[ec2api.Reservation](h.desk, as, runRequest()).Instances[0].InstanceId
	h.Advance(2 * time.Second)
	ask[ec2api.VolumeAttachment](h.desk, as, &ec2api.AttachVolumeRequest{InstanceId: &run, VolumeId: &volume, Device: new("/dev/sdf")})
	d, err := h.ec2.Disk(h.T.Context(), account, region, volume)
	h.Must(err)
	h.Must(fn(d))
	ask[ec2api.VolumeAttachment](h.desk, as, &ec2api.DetachVolumeRequest{VolumeId: &volume})
	ask[ec2api.TerminateInstancesResult](h.desk, as, &ec2api.TerminateInstancesRequest{InstanceIds: []string{run}})
	h.Advance(2 * time.Second)
}

// wantText fails the test unless a volume holds the text that filled writes.
func (h *house) wantText(as guard.Caller, volume, text string) {
	h.T.Helper()
	h.attached(as, volume, func(disk io.WriterAt) error {
		got := make([]byte, len(text))
		if _, err := disk.(io.ReaderAt).ReadAt(got, 1<<20); err != nil {
			return err
		}
		if string(got) != text {
			h.T.Errorf("%s holds %q, want %q", volume, got, text)
		}
		return nil
	})
}

// snapshot makes a snapshot of a volume and waits for it.
func (h *house) snapshot(as guard.Caller, volume string) string {
	h.T.Helper()
	out := ask[ec2api.Snapshot](h.desk, as, &ec2api.CreateSnapshotRequest{VolumeId: &volume})
	if *out.State != "pending" || *out.Progress != "" || *out.VolumeId != volume {
		h.T.Errorf("answer: %+v", out)
	}
	h.Advance(time.Second)
	if got := h.snapshotNow(as, *out.SnapshotId); *got.State != "completed" || *got.Progress != "100%" {
		h.T.Errorf("snapshot: %+v", got)
	}
	return *out.SnapshotId
}

func (h *house) snapshotNow(as guard.Caller, id string) ec2api.Snapshot {
	h.T.Helper()
	return ask[ec2api.DescribeSnapshotsResult](h.desk, as, &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}).Snapshots[0]
}

func (h *house) share(as guard.Caller, snapshot string, with ...string) {
	h.T.Helper()
	var add []ec2api.CreateVolumePermission
	for _, id := range with {
		add = append(add, ec2api.CreateVolumePermission{UserId: &id})
	}
	_, err := h.try(as, &ec2api.ModifySnapshotAttributeRequest{
		SnapshotId: &snapshot, CreateVolumePermission: &ec2api.CreateVolumePermissionModifications{Add: add},
	})
	h.Must(err)
}

// onDisk reports whether a text is in one of the volume files or a snapshot in the clear.
func (h *house) onDisk(text string) (found bool) {
	h.T.Helper()
	h.Must(h.objects.List(h.T.Context(), "", func(o objects.Object) error {
		data, err := h.objects.Get(h.T.Context(), o.Name, 0, -1)
		found = found || bytes.Contains(data, []byte(text))
		return err
	}))
	ids, err := blockdev.List(h.folder)
	h.Must(err)
	for _, id := range ids {
		f, err := h.folder.Open(id + ".kvol")
		if errors.Is(err, fs.ErrNotExist) {
			continue // a snapshot
		}
		h.Must(err)
		const seekData, seekHole = 3, 4
		for off := int64(0); ; {
			start, err := f.Seek(off, seekData)
			if errors.Is(err, syscall.ENXIO) {
				break
			}
			h.Must(err)
			end, err := f.Seek(start, seekHole)
			h.Must(err)
			buf := make([]byte, end-start)
			_, err = f.ReadAt(buf, start)
			h.Must(err)
			found = found || bytes.Contains(buf, []byte(text))
			off = end
		}
		h.Must(f.Close())
	}
	return found
}

// TestWhichKey is the table of Amazon EBS User Guide, "How Amazon EBS encryption works": the
// parameter, the account's setting, and the source choose the key.
func TestWhichKey(t *testing.T) {
	const none, refused = "none", "InvalidParameterDependency"
	h := newHouse(t)
	own, other, snapKey, foreign := h.owner(), h.root(theirs), h.keyIn(mine), h.keyIn(theirs)
	named, standard := h.keyIn(mine), h.keyIn(mine)
	ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](h.desk, own, &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &standard})
	sources := map[string]string{
		"empty": "", "plain": h.snapshot(own, h.filled(own, "", "plain content")), "encrypted": h.snapshot(own, h.filled(own, snapKey, "secret content")),
		"plain, shared": h.snapshot(other, h.filled(other, "", "plain content")), "encrypted, shared": h.snapshot(other, h.filled(other, foreign, "secret content")),
	}
	h.share(other, sources["plain, shared"], mine)
	h.share(other, sources["encrypted, shared"], mine)
	tests := []struct {
		asked, byDefault bool
		source           string
		want             string // without a key
		withKey          string // with one
	}{
		{false, false, "empty", none, refused},
		{false, false, "plain", none, refused},
		{false, false, "encrypted", snapKey, refused},
		{false, false, "plain, shared", none, refused},
		{false, false, "encrypted, shared", standard, refused},
		{true, false, "empty", standard, named},
		{true, false, "plain", standard, named},
		{true, false, "encrypted", snapKey, named},
		{true, false, "plain, shared", standard, named},
		{true, false, "encrypted, shared", standard, named},
		{false, true, "empty", standard, refused},
		{false, true, "plain", standard, refused},
		{false, true, "encrypted", snapKey, refused},
		{false, true, "plain, shared", standard, refused},
		{false, true, "encrypted, shared", standard, refused},
		{true, true, "empty", standard, named},
		{true, true, "plain", standard, named},
		{true, true, "encrypted", snapKey, named},
		{true, true, "plain, shared", standard, named},
		{true, true, "encrypted, shared", standard, named},
	}
	for _, tt := range tests {
		for key, want := range map[string]string{"": tt.want, named: tt.withKey} {
			name := fmt.Sprintf("asked %v, by default %v, %s, key %v", tt.asked, tt.byDefault, tt.source, key != "")
			t.Run(name, func(t *testing.T) {
				h.setDefault(tt.byDefault)
				in := &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), KmsKeyId: api.Opt(key), SnapshotId: api.Opt(sources[tt.source])}
				if tt.source == "empty" {
					in.Size = new(int32(1))
				}
				if tt.asked {
					in.Encrypted = new(true)
				}
				if want == refused {
					h.refuse(own, in, refused, "The parameter KmsKeyId requires the parameter Encrypted to be set.")
					in.Encrypted = new(false)
					h.refuse(own, in, refused, "*")
					return
				}
				id := *ask[ec2api.Volume](h.desk, own, in).VolumeId
				h.Advance(time.Second)
				v := h.volumes(filter("volume-id", id))[0]
				if got := api.Val(v.KmsKeyId); *v.State != "available" || *v.Encrypted != (want != none) || got != want && want != none {
					t.Errorf("volume is %s under %q, want %q", *v.State, got, want)
				}
				switch {
				case strings.HasPrefix(tt.source, "encrypted"):
					h.setDefault(false)
					h.wantText(own, id, "secret content")
				case strings.HasPrefix(tt.source, "plain"):
					h.setDefault(false)
					h.wantText(own, id, "plain content")
				}
				_, err := h.try(own, &ec2api.DeleteVolumeRequest{VolumeId: &id})
				h.Must(err)
			})
		}
	}
	if h.onDisk("secret content") || !h.onDisk("plain content") {
		t.Error("what is encrypted is on disk in the clear, or what is not is not")
	}
	for _, key := range []string{snapKey, named, standard} {
		if g := h.grants(key); len(g) != 0 {
			t.Errorf("%d grants are left on %s", len(g), key)
		}
	}
	h.noJobs()
}

func (h *house) setDefault(on bool) {
	h.T.Helper()
	var in any = new(ec2api.EnableEbsEncryptionByDefaultRequest)
	if !on {
		in = new(ec2api.DisableEbsEncryptionByDefaultRequest)
	}
	_, err := h.try(h.owner(), in)
	h.Must(err)
}

// TestAKeyHasFourNames, and they all mean the same in a volume and in a launch.
func TestAKeyHasFourNames(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	h.askKMS("CreateAlias", &kmsapi.CreateAliasRequest{AliasName: new("alias/data"), TargetKeyId: &key})
	id := key[strings.LastIndexByte(key, '/')+1:]
	for _, name := range []string{id, key, "alias/data", "arn:aws:kms:" + region + ":" + mine + ":alias/data"} {
		v := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &name}).VolumeId
		i := h.run(h.owner(), encrypted(rootDevice, name))
		h.wantState(i, "running")
		if got, run := *h.volumes(filter("volume-id", v))[0].KmsKeyId, *h.volumeOn(i, rootDevice).KmsKeyId; got != key || run != key {
			t.Errorf("%s: a volume under %s, a launch under %s", name, got, run)
		}
	}
}

// TestSnapshotsKeepKeyAndDataKey whether the volume is attached or not, and hold what it held then.
func TestSnapshotsKeepKeyAndDataKey(t *testing.T) {
	h := newHouse(t)
	key, second := h.key(""), h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	v := *h.volumeOn(id, "/dev/sdf").VolumeId
	disk := h.disk(v)
	write := func(text string) {
		if _, err := disk.WriteAt([]byte(text), 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	write("first text")
	h.wire.mend()
	open := h.snapshot(h.owner(), v)
	if calls := h.wire.seen(); len(calls) != 0 {
		t.Errorf("KMS saw %v", calls)
	}
	write("other text")
	ask[ec2api.VolumeAttachment](h.desk, h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v})
	shut := h.snapshot(h.owner(), v)
	a, b := h.snapshotNow(h.owner(), open), h.snapshotNow(h.owner(), shut)
	if !*a.Encrypted || *a.KmsKeyId != key || api.Val(a.DataEncryptionKeyId) == "" || *a.DataEncryptionKeyId != *b.DataEncryptionKeyId || *a.VolumeSize != 8 {
		t.Errorf("%+v\n%+v", a, b)
	}
	for _, tt := range []struct{ snapshot, key, want string }{
		{open, "", "first text"}, {shut, "", "other text"}, {open, second, "first text"}, {shut, second, "other text"},
	} {
		in := &ec2api.CreateVolumeRequest{SnapshotId: &tt.snapshot, KmsKeyId: api.Opt(tt.key)}
		if tt.key != "" {
			in.Encrypted = new(true)
		}
		made := *h.create(in).VolumeId
		h.Advance(time.Second)
		h.wantText(h.owner(), made, tt.want)
	}
	if h.onDisk("first text") || h.onDisk("other text") {
		t.Error("the text is on disk in the clear")
	}
}

// TestASnapshotOfAVolumeThatWasNeverOpened is empty, under each key.
func TestASnapshotOfAVolumeThatWasNeverOpened(t *testing.T) {
	h := newHouse(t)
	key, second := h.key(""), h.key("")
	v := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId
	h.Advance(time.Second)
	snap := h.snapshot(h.owner(), v)
	for _, k := range []string{key, second} {
		made := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &snap, Encrypted: new(true), KmsKeyId: &k}).VolumeId
		h.Advance(time.Second)
		h.wantText(h.owner(), made, "\x00\x00\x00\x00")
	}
}

// TestAVolumeOutlivesItsSnapshot, even one that is being filled.
func TestAVolumeOutlivesItsSnapshot(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	snap := h.snapshot(h.owner(), h.filled(h.owner(), key, "kept"))
	v := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &snap}).VolumeId
	_, err := h.try(h.owner(), &ec2api.DeleteSnapshotRequest{SnapshotId: &snap})
	h.Must(err)
	h.refuse(h.owner(), &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{snap}}, "InvalidSnapshot.NotFound", "The snapshot '"+snap+"' does not exist.")
	h.refuse(h.owner(), &ec2api.CreateVolumeRequest{SnapshotId: &snap, AvailabilityZone: new(zoneA)}, "InvalidSnapshot.NotFound", "*")
	h.restart()
	h.Advance(time.Second)
	h.wantText(h.owner(), v, "kept")
	h.Advance(time.Minute)
	files, err := blockdev.List(h.folder)
	h.Must(err)
	for _, f := range files {
		if f == snap {
			t.Error("the file of the snapshot is still there")
		}
	}
	if n := h.count("ec2/discard"); n != 0 {
		t.Errorf("%d discards are left", n)
	}
}

// TestASnapshotInTheMakingSurvivesARestart and nothing can be made of it before it is completed.
func TestASnapshotInTheMakingSurvivesARestart(t *testing.T) {
	h := newHouse(t)
	v := h.filled(h.owner(), "", "text")
	snap := *ask[ec2api.Snapshot](h.desk, h.owner(), &ec2api.CreateSnapshotRequest{VolumeId: &v, Description: new("d"),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: new("snapshot"), Tags: tagList("Name", "s")}}}).SnapshotId
	h.refuse(h.owner(), &ec2api.CreateVolumeRequest{SnapshotId: &snap, AvailabilityZone: new(zoneA)}, "IncorrectState", "Snapshot is in invalid state - pending")
	h.restart()
	h.Advance(time.Second)
	got := h.snapshotNow(h.owner(), snap)
	if *got.State != "completed" || *got.Description != "d" || len(got.Tags) != 1 {
		t.Errorf("%+v", got)
	}
	made := *h.create(&ec2api.CreateVolumeRequest{SnapshotId: &snap}).VolumeId
	h.Advance(time.Second)
	h.wantText(h.owner(), made, "text")
}

// TestPermissionsForEachKindOfSource: what a caller needs, exactly.
func TestPermissionsForEachKindOfSource(t *testing.T) {
	all := map[string][]string{
		"plain": {"kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"},
		"same":  {"kms:ReEncryptFrom", "kms:ReEncryptTo"},
		"other": {"kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"},
		"from":  {"kms:ReEncryptFrom", "kms:CreateGrant"}, // on the key of the source
	}
	for kind, needs := range all {
		for n := -1; n < len(needs); n++ {
			missing := "nothing"
			if n >= 0 {
				missing = needs[n]
			}
			t.Run(kind+" without "+missing, func(t *testing.T) {
				h := newHouse(t)
				user := h.launcher()
				var has []string
				for _, a := range needs {
					if a != missing {
						has = append(has, a)
					}
				}
				key := func(actions []string) string {
					return h.key(strings.Replace(viaEC2(user.Principal.ARN, actions...), `"kms:Put*"`, `"kms:*"`, 1))
				}
				source, target := "", key(has)
				switch kind {
				case "same":
					source = target
				case "other":
					source = key(all["from"])
				case "from":
					source, target = target, key(all["other"])
				}
				snap := h.snapshot(h.owner(), h.filled(h.owner(), source, "text"))
				v := *ask[ec2api.Volume](h.desk, user, &ec2api.CreateVolumeRequest{
					AvailabilityZone: new(zoneA), SnapshotId: &snap, Encrypted: new(true), KmsKeyId: &target,
				}).VolumeId
				h.Advance(time.Second)
				got := h.volumes(filter("volume-id", v))
				if n < 0 {
					if len(got) != 1 || *got[0].State != "available" {
						t.Fatalf("%+v", got)
					}
					h.wantText(h.owner(), v, "text")
				} else {
					if len(got) != 0 {
						t.Errorf("%+v", got)
					}
					h.wantDenied(v, missing)
				}
				for _, k := range []string{source, target} {
					if k != "" && len(h.grants(k)) != 0 {
						t.Errorf("%d grants are left", len(h.grants(k)))
					}
				}
				h.noJobs()
			})
		}
	}
}

// TestEncryptionByDefaultTakesAKeyThatNoTemplateNames: the launch fails on it and works once its
// policy has the statements; without the setting new volumes are plain and old ones stay. (S11)
func TestEncryptionByDefaultTakesAKeyThatNoTemplateNames(t *testing.T) {
	h := newHouse(t)
	scaling := h.scaling()
	key := h.key("")
	ask[ec2api.ModifyEbsDefaultKmsKeyIdResult](h.desk, h.owner(), &ec2api.ModifyEbsDefaultKmsKeyIdRequest{KmsKeyId: &key})
	h.setDefault(true)
	failed := h.run(scaling)
	h.wantState(failed, "terminated")
	h.wantDenied(failed, "kms:CreateGrant")
	h.askKMS("PutKeyPolicy", &kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(seedPolicy(scaling.Principal.RoleARN))})
	first := h.run(scaling)
	h.wantState(first, "running")
	h.setDefault(false)
	second := h.run(scaling)
	h.wantState(second, "running")
	if v, w := h.volumeOn(first, rootDevice), h.volumeOn(second, rootDevice); *v.KmsKeyId != key || *w.Encrypted {
		t.Errorf("%+v\n%+v", v, w)
	}
}
