// Package qemu_test runs instances as machines: QEMU boots a small image, made of Debian's packages, from
// an encrypted root volume. make qemu runs it.
package qemu_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Clean()
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A lab is a server that runs machines, and the image that they boot.
type lab struct {
	t          *testing.T
	dir        string
	server     *server.Server
	account    string
	ec2        *ec2.Client
	ebs        *ebs.Client
	key, image string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir() + "/data", account: seed.NewAccount()}
	disk := filepath.Join(t.TempDir(), "disk.img")
	if out, err := exec.CommandContext(t.Context(), "./mkimage.sh", disk).CombinedOutput(); err != nil {
		t.Fatalf("mkimage.sh: %v\n%s", err, out)
	}
	l.start()
	key, err := kms.NewFromConfig(l.config()).CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	l.key = *key.KeyMetadata.Arn
	l.register(disk)
	return l
}

func (l *lab) config() aws.Config {
	return aws.Config{
		Region: seed.Region, BaseEndpoint: &l.server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: l.account + "ADMIN", SecretAccessKey: "test"}, nil
		}),
	}
}

// start starts a server. KVM of nested hosts is not to be relied upon, so QEMU emulates.
func (l *lab) start() {
	l.t.Helper()
	l.server = server.Start(l.t, l.dir, "--machine", "qemu-tcg")
	l.ec2, l.ebs = ec2.NewFromConfig(l.config()), ebs.NewFromConfig(l.config())
}

// register uploads a disk as a snapshot and makes an image of it.
func (l *lab) register(disk string) {
	l.t.Helper()
	ctx := l.t.Context()
	data, err := os.ReadFile(disk)
	must(l.t, err)
	snap, err := l.ebs.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: new(int64(1))})
	must(l.t, err)
	const size = 512 << 10
	changed := int32(0)
	for i := 0; i < len(data); i += size {
		block := data[i:min(i+size, len(data))]
		if len(block) < size {
			block = append(bytes.Clone(block), make([]byte, size-len(block))...)
		}
		if len(bytes.Trim(block, "\x00")) == 0 {
			continue
		}
		sum := sha256.Sum256(block)
		_, err := l.ebs.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
			SnapshotId: snap.SnapshotId, BlockIndex: new(int32(i / size)), BlockData: bytes.NewReader(block), DataLength: new(int32(size)),
			Checksum: new(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
		})
		must(l.t, err)
		changed++
	}
	_, err = l.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: snap.SnapshotId, ChangedBlocksCount: &changed})
	must(l.t, err)
	must(l.t, ec2.NewSnapshotCompletedWaiter(l.ec2).Wait(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*snap.SnapshotId}}, time.Minute))
	img, err := l.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
		Name: new("tiny"), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: new("/dev/xvda"), VirtualizationType: new("hvm"), EnaSupport: new(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: snap.SnapshotId}}},
	})
	must(l.t, err)
	l.image = *img.ImageId
}

// run launches an instance on an encrypted root volume.
func (l *lab) run(userData string, change func(*ec2.RunInstancesInput)) string {
	l.t.Helper()
	in := &ec2.RunInstancesInput{
		ImageId: &l.image, InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		UserData:            new(base64.StdEncoding.EncodeToString([]byte(userData))),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &l.key}}},
	}
	change(in)
	out, err := l.ec2.RunInstances(l.t.Context(), in)
	must(l.t, err)
	return *out.Instances[0].InstanceId
}

// poll waits until something is so.
func (l *lab) poll(what string, ok func() (bool, string)) {
	l.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; {
		good, seen := ok()
		if good {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s does not come; seen is:\n%s", what, seen)
		}
		<-time.After(200 * time.Millisecond)
	}
}

// await waits for a state and returns the instance.
func (l *lab) await(id, state string) (i ec2types.Instance) {
	l.t.Helper()
	l.poll("state "+state, func() (bool, string) {
		out, err := l.ec2.DescribeInstances(l.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		must(l.t, err)
		i = out.Reservations[0].Instances[0]
		return string(i.State.Name) == state, string(i.State.Name)
	})
	return i
}

// console waits for a line on the console.
func (l *lab) console(id, line string) {
	l.t.Helper()
	l.poll("the line "+strconv.Quote(line), func() (bool, string) {
		out, err := l.ec2.GetConsoleOutput(l.t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: new(true)})
		must(l.t, err)
		text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
		must(l.t, err)
		if out.Timestamp == nil || out.Timestamp.IsZero() {
			l.t.Error("the output has no time")
		}
		return strings.Contains(string(text), line), string(text)
	})
}

// inFiles reports whether a text is in a file of the data directory.
func (l *lab) inFiles(text string) bool {
	found := false
	must(l.t, filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".sock") {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(text))
		return err
	}))
	return found
}

// process is the machine of an instance among those of the system.
func (l *lab) process(id string) int {
	l.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(l.t, err)
	for _, path := range dirs {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "-name\x00"+id+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			must(l.t, err)
			return pid
		}
	}
	l.t.Fatalf("no machine of %s runs", id)
	return 0
}

// TestAnInstanceBootsFromItsEncryptedVolume: its console is seen, it stops in good order and finds what it
// wrote when it starts again, and no file has its plaintext.
func TestAnInstanceBootsFromItsEncryptedVolume(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	id := l.run("hello", func(*ec2.RunInstancesInput) {})
	l.await(id, "running")
	l.console(id, "guest: boot 1\r\n")
	l.console(id, "guest: user data: hello\r\n")
	l.console(id, "guest: serial vol")
	l.console(id, "guest: ready")

	_, err := l.ec2.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	must(t, err)
	l.await(id, "stopped")
	l.console(id, "guest: power button")
	if l.inFiles("a secret that the guest wrote") {
		t.Error("what the guest wrote is in a file in plaintext")
	}

	_, err = l.ec2.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{id}})
	must(t, err)
	l.await(id, "running")
	l.console(id, "guest: boot 2")
	_, err = l.ec2.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{id}})
	must(t, err)
	l.console(id, "guest: boot 3")

	v, err := l.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: l.await(id, "running").Placement.AvailabilityZone, Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &l.key,
	})
	must(t, err)
	must(t, ec2.NewVolumeAvailableWaiter(l.ec2).Wait(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}}, time.Minute))
	_, err = l.ec2.AttachVolume(ctx, &ec2.AttachVolumeInput{InstanceId: &id, VolumeId: v.VolumeId, Device: new("/dev/sdf")})
	must(t, err)
	l.console(id, "guest: vdb")

	// A host that is restarted boots its machines again.
	l.server.Stop()
	l.start()
	l.await(id, "running")
	l.console(id, "guest: boot 4")
	_, err = l.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	must(t, err)
	l.await(id, "terminated")
}

// TestAMachineThatEndsByItself: its instance stops or is terminated, as it was launched to.
func TestAMachineThatEndsByItself(t *testing.T) {
	l := newLab(t)
	id := l.run("poweroff", func(in *ec2.RunInstancesInput) {
		in.InstanceInitiatedShutdownBehavior = ec2types.ShutdownBehaviorTerminate
	})
	if i := l.await(id, "terminated"); aws.ToString(i.StateReason.Code) != "Client.InstanceInitiatedShutdown" {
		t.Errorf("the reason is %+v", i.StateReason)
	}
	crashes := l.run("", func(*ec2.RunInstancesInput) {})
	l.await(crashes, "running")
	p, err := os.FindProcess(l.process(crashes))
	must(t, err)
	must(t, p.Kill())
	if i := l.await(crashes, "stopped"); aws.ToString(i.StateReason.Code) != "Server.InternalError" {
		t.Errorf("the reason is %+v", i.StateReason)
	}
}
