//go:build linux

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/kagimori/kagimori/e2e/internal/block"
	"github.com/kagimori/kagimori/e2e/internal/disk"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

const (
	image = "ami-12c6146b"
	zone  = seed.Region + "a"
)

// A world is a server, what is in it, and what its clients were told.
type world struct {
	dir     string // the data directory
	account string
	ledger  *ledger
	sectors *sectors
	serial  *atomic.Int64 // of names
	things  *things
	refuses bool // the disk does not do everything: what is not made yet may be given up

	srv  *server.Server
	disk *disk.Disk // nil: the server has the real one
	kms  *kms.Client
	iam  *iam.Client
	ec2  *ec2.Client
	ebs  *ebs.Client
	asg  *autoscaling.Client
}

// things are what the writers of a world work on.
type things struct {
	key             string
	instance        string
	busy, quiet     string // volumes of the instance
	template        string
	quietText       byte // what the quiet volume is full of
	ready           int  // the mark when all was made
	creates, events atomic.Int64
}

// newWorld is a world without a server.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		dir: filepath.Join(t.TempDir(), "data"), account: seed.NewAccount(), sectors: newSectors(), serial: new(atomic.Int64),
		things: &things{quietText: 'q'},
	}
	w.ledger = &ledger{mark: func() int {
		if w.disk == nil {
			return 0
		}
		return w.disk.Len()
	}}
	return w
}

// args are those of each server of a world.
func (w *world) args() []string {
	return []string{"--audit-sync", "--nbd", "unix:" + filepath.Join(filepath.Dir(w.dir), "nbd.sock")}
}

// start starts the server, on the real disk.
func (w *world) start() error {
	srv, err := server.Run(w.dir, w.args()...)
	if err == nil {
		w.meet(srv)
	}
	return err
}

// startOn starts the server on a disk of the test.
func (w *world) startOn(rule disk.Rule) error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	srv, err := server.RunBy(w.dir, func(cmd *exec.Cmd) (err error) {
		w.disk, err = disk.StartWith(cmd, filepath.Dir(w.dir), rule)
		return err
	}, w.args()...)
	if err == nil {
		w.meet(srv)
	}
	return err
}

// at is a world with the same contents elsewhere.
func (w *world) at(dir string) *world {
	v := *w
	v.dir, v.srv, v.disk = dir, nil, nil
	return &v
}

// meet makes the clients.
func (w *world) meet(srv *server.Server) {
	w.srv = srv
	cfg := aws.Config{
		Region: seed.Region, BaseEndpoint: &srv.URL, RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: &onlyReader{http.Transport{MaxIdleConnsPerHost: 20}}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: w.account + "ADMIN", SecretAccessKey: "test"}, nil
		}),
	}
	w.kms, w.iam, w.ec2, w.ebs, w.asg = kms.NewFromConfig(cfg), iam.NewFromConfig(cfg), ec2.NewFromConfig(cfg), ebs.NewFromConfig(cfg), autoscaling.NewFromConfig(cfg)
}

// onlyReader sends requests without the WriteTo of the SDK's body, which ends connections to a near server.
type onlyReader struct{ http.Transport }

// RoundTrip is that of the transport.
func (o *onlyReader) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct {
			io.Reader
			io.Closer
		}{r.Body, r.Body}
	}
	return o.Transport.RoundTrip(r)
}

// furnish makes what the writers work on.
func (w *world) furnish(ctx context.Context) error {
	th := w.things
	key, err := w.kms.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	th.key = *key.KeyMetadata.Arn
	if _, err := w.iam.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: new("autoscaling.amazonaws.com")}); err != nil {
		return err
	}
	device := func(name string) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &name, Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true), KmsKeyId: &th.key, VolumeSize: new(int32(1))}}
	}
	run, err := w.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: new(image), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{device("/dev/sdf"), device("/dev/sdg")},
	})
	if err != nil {
		return err
	}
	th.instance = *run.Instances[0].InstanceId
	i, err := w.running(ctx)
	if err != nil {
		return err
	}
	for _, m := range i.BlockDeviceMappings {
		switch *m.DeviceName {
		case "/dev/sdf":
			th.busy = *m.Ebs.VolumeId
		case "/dev/sdg":
			th.quiet = *m.Ebs.VolumeId
		}
	}
	quiet, err := w.attach(th.quiet)
	if err != nil {
		return err
	}
	defer quiet.Close()
	if err := errors.Join(quiet.Write(0, bytes.Repeat([]byte{th.quietText}, 64<<10)), quiet.Flush()); err != nil {
		return err
	}
	_, err = w.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: new("web"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: new(image), InstanceType: ec2types.InstanceTypeT3Micro},
	})
	th.ready = w.ledger.mark()
	return err
}

// running waits until the instance runs.
func (w *world) running(ctx context.Context) (i ec2types.Instance, err error) {
	for until := time.Now().Add(time.Minute); ; {
		out, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{w.things.instance}})
		if err != nil {
			return i, err
		}
		i = out.Reservations[0].Instances[0]
		if i.State.Name == ec2types.InstanceStateNameRunning {
			return i, nil
		}
		if time.Now().After(until) {
			return i, fmt.Errorf("the instance is %s", i.State.Name)
		}
		select {
		case <-ctx.Done():
			return i, ctx.Err()
		case <-w.srv.Ended():
			return i, errors.New("the server ended")
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// kagimori runs a command of the program as the account's administrator.
func (w *world) kagimori(args ...string) (stdout string, err error) {
	bin, err := server.Binary()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(bin, args...)
	if w.srv != nil {
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+w.srv.URL, "AWS_REGION="+seed.Region, "AWS_ACCESS_KEY_ID="+w.account+"ADMIN", "AWS_SECRET_ACCESS_KEY=test")
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kagimori %s: %w: %s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// attach connects to a volume of the instance.
func (w *world) attach(volume string) (*block.Client, error) {
	uri, err := w.kagimori("volume", "export", volume)
	if err != nil {
		return nil, err
	}
	return block.Dial(uri)
}

// code is the code of an error of the service, "" of another one.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// absent turns an error that says that something is not there into "".
func absent(text string, err error, codes ...string) (string, error) {
	for _, c := range codes {
		if err != nil && code(err) == c {
			return "", nil
		}
	}
	return text, err
}
