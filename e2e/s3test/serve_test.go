package s3test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ebsapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const (
	account = "111122223333"
	region  = "us-west-2"
)

// program is the kagimori under test: KAGIMORI_BIN, or one that is built.
var program = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("KAGIMORI_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	bin := filepath.Join(gw.dir, "kagimori")
	build := exec.Command("go", "build", "-o", bin, "./cmd/kagimori")
	build.Dir = "../.." // its own module: that of the tests does not have all that it needs
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// command is kagimori with the credentials of the bucket, or others.
func command(t *testing.T, secret string, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := program()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "KAGIMORI_SNAPSHOTS_ACCESS_KEY_ID=AKIDTEST", "KAGIMORI_SNAPSHOTS_SECRET_ACCESS_KEY="+secret)
	return cmd
}

// A log is what a process prints.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is called by the process's pipe.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was printed.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type server struct {
	cmd           *exec.Cmd
	log           *log
	ended         chan struct{}
	ec2, ebs, kms *client.Client
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// within asks until the answer is yes.
func within(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for begun := time.Now(); !ask(); time.Sleep(30 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func serve(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := &server{log: &log{}, ended: make(chan struct{})}
	s.cmd = command(t, "sectest", append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	must(t, s.cmd.Start())
	go func() { _ = s.cmd.Wait(); close(s.ended) }()
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	within(t, "a server", func() bool {
		url := address.FindString(s.log.String())
		if url == "" {
			select {
			case <-s.ended:
				t.Fatalf("the server ended: %s", s.log)
			default:
			}
			return false
		}
		res, err := http.Get(url + "/_kagimori/health")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
	url, creds := address.FindString(s.log.String()), sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: "test"}
	var err error
	s.ec2, err = client.New(url, region, creds, ec2api.Service())
	must(t, err)
	s.ebs, err = client.New(url, region, creds, ebsapi.Service())
	must(t, err)
	s.kms, err = client.New(url, region, creds, kmsapi.Service())
	must(t, err)
	return s
}

func (s *server) end(with syscall.Signal) {
	_ = s.cmd.Process.Signal(with) // it may have ended
	<-s.ended
}

// call calls an operation that must succeed.
func call[Out any](t *testing.T, c *client.Client, op string, in any) *Out {
	t.Helper()
	out := new(Out)
	if err := surely(t, c, op, in, out); err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return out
}

// surely asks again as clients do while a node cannot use its store, which a busy machine may be the cause of.
func surely(t *testing.T, c *client.Client, op string, in, out any) error {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := c.Do(t.Context(), op, in, out)
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Code != "ServiceUnavailable" || time.Since(begun) > time.Minute {
			return err
		}
	}
}

func (s *server) snapshot(t *testing.T, id string) ec2api.Snapshot {
	t.Helper()
	return call[ec2api.DescribeSnapshotsResult](t, s.ec2, "DescribeSnapshots", &ec2api.DescribeSnapshotsRequest{SnapshotIds: []string{id}}).Snapshots[0]
}

func (s *server) wait(t *testing.T, id, state string) ec2api.Snapshot {
	t.Helper()
	within(t, id+" "+state, func() bool { return *s.snapshot(t, id).State == state })
	return s.snapshot(t, id)
}

// volume makes an encrypted volume of a snapshot, under a key of its own.
func (s *server) volume(t *testing.T, snapshot string) string {
	t.Helper()
	key := call[kmsapi.CreateKeyResponse](t, s.kms, "CreateKey", &kmsapi.CreateKeyRequest{}).KeyMetadata.Arn
	id := *call[ec2api.Volume](t, s.ec2, "CreateVolume", &ec2api.CreateVolumeRequest{
		AvailabilityZone: new(region + "a"), SnapshotId: &snapshot, Encrypted: new(true), KmsKeyId: key,
	}).VolumeId
	within(t, id, func() bool {
		return *call[ec2api.DescribeVolumesResult](t, s.ec2, "DescribeVolumes", &ec2api.DescribeVolumesRequest{VolumeIds: []string{id}}).Volumes[0].State == "available"
	})
	return id
}

func (s *server) take(t *testing.T, volume string) string {
	t.Helper()
	return *call[ec2api.Snapshot](t, s.ec2, "CreateSnapshot", &ec2api.CreateSnapshotRequest{VolumeId: &volume}).SnapshotId
}

// written makes a snapshot of so many blocks.
func (s *server) written(t *testing.T, blocks int32) string {
	t.Helper()
	id := *call[ebsapi.StartSnapshotResponse](t, s.ebs, "StartSnapshot", &ebsapi.StartSnapshotRequest{VolumeSize: new(int64(1))}).SnapshotId
	for n := range blocks {
		data := bytes.Repeat([]byte{byte(n + 1)}, blockdev.BlockSize)
		sum := sha256.Sum256(data)
		call[ebsapi.PutSnapshotBlockResponse](t, s.ebs, "PutSnapshotBlock", &ebsapi.PutSnapshotBlockRequest{
			SnapshotId: &id, BlockIndex: &n, BlockData: data, DataLength: new(int32(len(data))), Checksum: new(base64.StdEncoding.EncodeToString(sum[:])),
			ChecksumAlgorithm: new("SHA256"),
		})
	}
	call[ebsapi.CompleteSnapshotResponse](t, s.ebs, "CompleteSnapshot", &ebsapi.CompleteSnapshotRequest{SnapshotId: &id, ChangedBlocksCount: &blocks})
	s.wait(t, id, "completed")
	return id
}

// trusted is a file with the gateway's certificate.
func trusted(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gw.cert.Certificate[0]}), 0o600))
	return path
}

// TestAServerKeepsItsSnapshotsInABucket: an instance is launched and its root volume kept, a volume is restored by the
// server that comes after. What was not stored when the process was killed is in error, and leaves nothing.
func TestAServerKeepsItsSnapshotsInABucket(t *testing.T) {
	var hold atomic.Bool
	held := make(chan struct{}, 100)
	endpoint := flaky(t, func(_ int64, _ http.ResponseWriter, r *http.Request) bool {
		if hold.Load() && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/block/") {
			held <- struct{}{}
			<-r.Context().Done() // until the client is gone
			return true
		}
		return false
	})
	data, ca := filepath.Join(t.TempDir(), "data"), trusted(t)
	place := []string{"--snapshots", "s3://" + bucket + "/served", "--snapshots-endpoint", endpoint, "--snapshots-ca", ca}
	s := serve(t, data, place...)
	base := s.written(t, 40)
	vol := s.volume(t, base)
	snap := s.take(t, vol)
	if got := s.wait(t, snap, "completed"); *got.Progress != "100%" || *got.FullSnapshotSizeInBytes != 40*blockdev.BlockSize {
		t.Errorf("it ends as %s, %d bytes", *got.Progress, *got.FullSnapshotSizeInBytes)
	}
	images := call[ec2api.DescribeImagesResult](t, s.ec2, "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"amazon"}}).Images
	run := call[ec2api.Reservation](t, s.ec2, "RunInstances", &ec2api.RunInstancesRequest{
		ImageId: images[0].ImageId, MinCount: new(int32(1)), MaxCount: new(int32(1)), InstanceType: new("t3.micro"),
		BlockDeviceMappings: []ec2api.BlockDeviceMapping{{DeviceName: images[0].RootDeviceName, Ebs: &ec2api.EbsBlockDevice{Encrypted: new(true)}}},
	})
	var root string
	within(t, "the instance", func() bool {
		i := call[ec2api.DescribeInstancesResult](t, s.ec2, "DescribeInstances", &ec2api.DescribeInstancesRequest{InstanceIds: []string{*run.Instances[0].InstanceId}}).Reservations[0].Instances[0]
		if *i.State.Name == "running" {
			root = *i.BlockDeviceMappings[0].Ebs.VolumeId
		}
		return root != ""
	})
	rootSnap := s.take(t, root)
	s.wait(t, rootSnap, "completed")
	must(t, objects.NewFolder(openRoot(t, filepath.Join(data, "snapshots"))).List(t.Context(), "", func(o objects.Object) error {
		return fmt.Errorf("%s is in the data directory", o.Name)
	}))
	s.end(syscall.SIGINT)

	s = serve(t, data, "--snapshots-ca", ca) // the place is known
	restored := s.volume(t, snap)
	hold.Store(true)
	lost := s.take(t, restored)
	if got := s.snapshot(t, lost); *got.State != "pending" {
		t.Errorf("nothing is stored, and the snapshot is %s", *got.State)
	}
	<-held
	s.end(syscall.SIGKILL)
	hold.Store(false)
	s = serve(t, data, "--snapshots-ca", ca)
	if got := s.wait(t, lost, "error"); *got.StateMessage != "The server ended before the data of the snapshot was stored" {
		t.Errorf("in error: %s", *got.StateMessage)
	}
	again := s.take(t, restored)
	s.wait(t, again, "completed")
	s.wait(t, rootSnap, "completed")
	s.end(syscall.SIGINT)
	if out, err := command(t, "sectest", "volume", "check", "--data", data, "--snapshots-ca", ca).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for name, wrong := range map[string]struct{ secret, place, want string }{
		"wrong credentials": {"wrong-secret", "", "SignatureDoesNotMatch"},
		"another bucket":    {"sectest", "s3://elsewhere/served", "they are not looked for elsewhere"},
	} {
		args := []string{"serve", "--dev", "--listen", "127.0.0.1:0", "--data", data, "--snapshots-ca", ca}
		if wrong.place != "" {
			args = append(args, "--snapshots", wrong.place, "--snapshots-endpoint", endpoint)
		}
		refused(t, name, wrong.secret, wrong.want, args...)
	}
	refused(t, "no bucket", "sectest", "NoSuchBucket", "serve", "--dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"),
		"--snapshots", "s3://gone-bucket/x", "--snapshots-endpoint", endpoint, "--snapshots-ca", ca)
}

// refused runs a server that must not start, and says why in a line.
func refused(t *testing.T, name, secret, want string, args ...string) {
	t.Helper()
	out, err := command(t, secret, args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "wrong-secret") || strings.Contains(string(out), "goroutine ") {
		t.Errorf("%s: %v: %s", name, err, out)
	}
}

func openRoot(t *testing.T, path string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(path)
	must(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root
}
