// Package nbd_test uses attached volumes with the tools of others: libnbd's nbdinfo and nbdcopy, QEMU's
// qemu-io, fio. make nbd runs it.
package nbd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// A disk is an encrypted volume of a running instance, on a server that exports volumes.
type disk struct {
	t                     testing.TB
	dir                   string // the server's data directory
	server                *server.Server
	account               string
	kms                   *kms.Client
	ec2                   *ec2.Client
	key, instance, volume string
}

func newDisk(t testing.TB) *disk {
	t.Helper()
	d := &disk{t: t, dir: t.TempDir() + "/data", account: seed.NewAccount()}
	d.start()
	key, err := d.kms.CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	d.key = *key.KeyMetadata.Arn
	run, err := d.ec2.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: new("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{
			Encrypted: new(true), KmsKeyId: &d.key, VolumeSize: new(int32(1)),
		}}},
	})
	must(t, err)
	d.instance = *run.Instances[0].InstanceId
	d.await("running")
	i := d.describe()
	for _, m := range i.BlockDeviceMappings {
		if *m.DeviceName == "/dev/sdf" {
			d.volume = *m.Ebs.VolumeId
		}
	}
	return d
}

// start starts a server on the data directory.
func (d *disk) start() {
	d.t.Helper()
	s, err := server.Run(d.dir, "--nbd", "unix:"+filepath.Join(filepath.Dir(d.dir), "nbd.sock"))
	must(d.t, err)
	d.t.Cleanup(func() {
		s.Stop()
		for _, line := range s.Trouble() {
			d.t.Errorf("server: %s", line)
		}
	})
	d.server = s
	cfg := aws.Config{
		Region: seed.Region, BaseEndpoint: &s.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: d.account + "ADMIN", SecretAccessKey: "test"}, nil
		}),
	}
	d.kms, d.ec2 = kms.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
}

// restart kills the server and starts another.
func (d *disk) restart() {
	d.t.Helper()
	d.server.Kill()
	d.start()
}

func (d *disk) describe() ec2types.Instance {
	d.t.Helper()
	out, err := d.ec2.DescribeInstances(d.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{d.instance}})
	must(d.t, err)
	return out.Reservations[0].Instances[0]
}

func (d *disk) await(state string) {
	d.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		i := d.describe()
		if string(i.State.Name) == state {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("the instance is %s, not %s", i.State.Name, state)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// kagimori runs a command of the program as the account's administrator.
func (d *disk) kagimori(args ...string) (stdout, stderr string, err error) {
	d.t.Helper()
	bin, err := server.Binary()
	must(d.t, err)
	cmd := exec.CommandContext(d.t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+d.server.URL, "AWS_REGION="+seed.Region, "AWS_ACCESS_KEY_ID="+d.account+"ADMIN", "AWS_SECRET_ACCESS_KEY=test")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// export gives the URI of the volume.
func (d *disk) export(args ...string) string {
	d.t.Helper()
	out, errs, err := d.kagimori(append([]string{"volume", "export", d.volume}, args...)...)
	if err != nil {
		d.t.Fatalf("export: %v: %s", err, errs)
	}
	return strings.TrimSpace(out)
}

// tool runs a program that has to succeed.
func (d *disk) tool(name string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// random is a file with that many random bytes.
func random(t testing.TB, n int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, n)
	_, _ = rand.Read(data) // never fails
	path = filepath.Join(t.TempDir(), "random")
	must(t, os.WriteFile(path, data, 0o600))
	return path, data
}

func TestInfo(t *testing.T) {
	d := newDisk(t)
	var info struct {
		Protocol string `json:"protocol"`
		Exports  []struct {
			Size       int64    `json:"export-size"`
			Contexts   []string `json:"contexts"`
			ReadOnly   bool     `json:"is_read_only"`
			FUA        bool     `json:"can_fua"`
			Flush      bool     `json:"can_flush"`
			Trim       bool     `json:"can_trim"`
			Zero       bool     `json:"can_zero"`
			FastZero   bool     `json:"can_fast_zero"`
			DF         bool     `json:"can_df"`
			MultiConn  bool     `json:"can_multi_conn"`
			MaxPayload int64    `json:"block_size_maximum"`
		} `json:"exports"`
	}
	must(t, json.Unmarshal([]byte(d.tool("nbdinfo", "--json", d.export())), &info))
	e := info.Exports[0]
	if info.Protocol != "newstyle-fixed" || e.Size != 1<<30 || e.ReadOnly || !e.FUA || !e.Flush || !e.Trim || !e.Zero || !e.FastZero || !e.DF || !e.MultiConn ||
		len(e.Contexts) != 1 || e.Contexts[0] != "base:allocation" || e.MaxPayload != 32<<20 {
		t.Errorf("%+v", info)
	}
	if out := d.tool("nbdinfo", d.export("--read-only")); !strings.Contains(out, "is_read_only: true") {
		t.Error(out)
	}
}

// What nbdcopy wrote reads back, is not on disk in the clear, outlives kill -9 of the server, and is out
// of reach once the grant is revoked and the server has to ask for the key again.
func TestCopyRestartRevoke(t *testing.T) {
	d := newDisk(t)
	path, data := random(t, 64<<20)
	d.tool("nbdcopy", "--flush", path, d.export())
	back := filepath.Join(t.TempDir(), "back")
	read := func() {
		t.Helper()
		_ = os.Remove(back) // it may not be there
		d.tool("nbdcopy", d.export("--read-only"), back)
		got, err := os.ReadFile(back)
		must(t, err)
		if len(got) != 1<<30 || !bytes.Equal(got[:len(data)], data) || len(bytes.Trim(got[len(data):], "\x00")) != 0 {
			t.Error("other data came back")
		}
	}
	read()
	file, err := os.ReadFile(filepath.Join(d.dir, "volumes", d.volume+".kvol"))
	must(t, err)
	if bytes.Contains(file, data[4096:4096+64]) {
		t.Error("the data is on disk in the clear")
	}
	if out := d.tool("nbdinfo", "--map", "--totals", d.export()); !strings.Contains(out, "67108864") {
		t.Errorf("the map is\n%s", out)
	}
	d.restart()
	d.await("running")
	read()
	grants, err := d.kms.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &d.key})
	must(t, err)
	if len(grants.Grants) == 0 {
		t.Fatal("no grants")
	}
	for _, g := range grants.Grants {
		_, err := d.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &d.key, GrantId: g.GrantId})
		must(t, err)
	}
	read() // the host has the key
	d.restart()
	if out, errs, err := d.kagimori("volume", "export", d.volume); err == nil || !strings.Contains(errs, "which does not run with it") {
		t.Errorf("after the grant was revoked, export says %q, %q, %v", out, errs, err)
	}
}

func TestQEMU(t *testing.T) {
	d := newDisk(t)
	uri := d.export()
	out := d.tool("qemu-io", "-f", "raw", uri,
		"-c", "write -P 0xa5 1000 300000", "-c", "write -f -P 0x5a 8M 1M", "-c", "flush",
		"-c", "read -P 0xa5 1000 300000", "-c", "read -P 0 301000 4096", "-c", "write -z 8M 64k", "-c", "read -P 0 8M 64k",
		"-c", "read -P 0x5a 8454144 983040", "-c", "discard 8M 1M", "-c", "read -P 0 8M 1M", "-c", "write -z -u 20M 2M", "-c", "read -P 0 20M 2M")
	if strings.Contains(out, "failed") || strings.Contains(out, "rror") {
		t.Error(out)
	}
	if out := d.tool("qemu-img", "info", "--output=json", uri); !strings.Contains(out, "1073741824") {
		t.Error(out)
	}
}

// fio writes at random, several requests at a time, and verifies what it reads.
func TestFIO(t *testing.T) {
	d := newDisk(t)
	out := d.tool("fio", "--name=verify", "--ioengine=nbd", "--uri="+d.export(), "--rw=randwrite", "--bsrange=512-64k", "--size=64M", "--iodepth=16",
		"--verify=crc32c", "--do_verify=1", "--fsync=64", "--randseed=7", "--verify_fatal=1", "--verify_state_save=0")
	if strings.Contains(out, "verify: bad") || !strings.Contains(out, "err= 0") {
		t.Error(out)
	}
}

// The clients of an export are gone when it ends.
func TestUnexport(t *testing.T) {
	d := newDisk(t)
	uri := d.export()
	if _, errs, err := d.kagimori("volume", "unexport", d.volume); err != nil {
		t.Fatal(errs)
	}
	if out, err := exec.CommandContext(t.Context(), "nbdinfo", uri).CombinedOutput(); err == nil {
		t.Errorf("nbdinfo still sees it: %s", out)
	}
	_, err := d.ec2.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: &d.volume})
	must(t, err)
}
