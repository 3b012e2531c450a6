package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/kagimori/kagimori/e2e/internal/members"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// bound is how old may be what a node knows; what one node acknowledged holds on all then.
const bound = time.Second

// A fleet of nodes over one etcd cluster.
type nodes struct {
	store string
	dir   string
	all   []*server.Server
	// by starts the process of a node's program, and sockets is the folder at whose sockets NBD is served; if set.
	by      func(*exec.Cmd) error
	sockets string
}

func startNodes(t *testing.T, n int) *nodes {
	t.Helper()
	c := &nodes{store: members.Start(t, 3).Store + "/" + strings.ToLower(t.Name()), dir: t.TempDir(), all: make([]*server.Server, n)}
	for i := range n {
		c.start(t, i)
	}
	t.Cleanup(func() {
		for i, s := range c.all {
			s.Stop()
			if t.Failed() {
				t.Logf("end of the log of node %d:\n%s", i, s.Tail(3000))
			}
			for _, line := range s.Trouble() {
				if strings.Contains(line, "DATA RACE") || strings.Contains(line, "panic") {
					t.Errorf("node %d: %s", i, line)
				}
			}
		}
	})
	return c
}

func (c *nodes) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.Run(filepath.Join(c.dir, fmt.Sprint("node", i)), "--store", c.store)
	if err != nil {
		t.Fatal(err)
	}
	c.all[i] = s
}

// works waits for the node that works, and is its number.
func (c *nodes) works(t *testing.T) (at int) {
	t.Helper()
	eventually(t, "a node works", func() (bool, string) {
		for i, s := range c.all {
			log := s.Tail(1 << 20)
			if strings.LastIndex(log, "this node works now") > strings.LastIndex(log, "this node works no longer") {
				at = i
				return true, ""
			}
		}
		return false, "none"
	})
	return at
}

// at is a caller who asks one node.
func (c *nodes) at(i int, who *client) *client {
	return newClient(c.all[i].URL, who.region, who.account, who.creds)
}

// within asks until the answer is as it has to be, which it is within the bound after since. A node that does not
// know may say so for longer: it hears of the others as fast as the machine is.
func within(t *testing.T, what string, since time.Time, ok func() error) {
	t.Helper()
	var last error
	for {
		began := time.Now()
		if last = ok(); last == nil {
			t.Logf("%s: after %s", what, time.Since(since).Round(time.Millisecond))
			return
		}
		var status interface{ HTTPStatusCode() int }
		unknown := errors.As(last, &status) && status.HTTPStatusCode() == http.StatusServiceUnavailable
		if late := began.Sub(since); late > bound && !unknown || late > patience {
			t.Fatalf("%s: not within %s: %v", what, bound, last)
		}
	}
}

// denied is nil if an error is a refusal for want of permission; a node that refuses to answer does not
// let anybody in either, but that is not what these tests are for.
func denied(err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "AccessDeniedException" {
		return nil
	}
	return fmt.Errorf("want a refusal, got %w", err)
}

// Three nodes over three etcd members are one service.
func TestNodesAreOneService(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 3)
	ctx := t.Context()
	one := adminOf(c.all[0].URL, seed.NewAccount())
	key := must(one.kms.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata
	user := one.user(t, "u", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","sts:GetCallerIdentity"],"Resource":"*"}}`)
	_, session := one.role(t, "r", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}}`)
	secret := must(user.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("secret")}))(t).CiphertextBlob
	made := time.Now()
	decrypt := func(who *client) error {
		out, err := who.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: secret})
		if err == nil && string(out.Plaintext) != "secret" {
			err = errors.New("another plaintext")
		}
		return err
	}
	for i := 1; i < 3; i++ {
		within(t, fmt.Sprint("a ciphertext of node 0 opens on node ", i), made, func() error { return decrypt(c.at(i, user)) })
		within(t, fmt.Sprint("a session of node 0 is valid on node ", i), made, func() error { return decrypt(c.at(i, session)) })
	}

	t.Run("policy", func(t *testing.T) {
		policy := `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"` + seed.Root(one.account) + `"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Deny","Principal":{"AWS":"` + user.arn(t) + `"},"Action":"kms:Decrypt","Resource":"*"}]}`
		must(one.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key.Arn, Policy: &policy}))(t)
		put := time.Now()
		for i := 1; i < 3; i++ {
			within(t, fmt.Sprint("a policy of node 0 denies on node ", i), put, func() error { return denied(decrypt(c.at(i, user))) })
		}
	})

	t.Run("grant", func(t *testing.T) {
		guest := one.user(t, "guest")
		g := must(one.kms.CreateGrant(ctx, &kms.CreateGrantInput{KeyId: key.Arn, GranteePrincipal: new(guest.arn(t)), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}}))(t)
		granted := time.Now()
		for i := 1; i < 3; i++ {
			within(t, fmt.Sprint("a grant of node 0 allows on node ", i), granted, func() error { return decrypt(c.at(i, guest)) })
		}
		must(c.at(1, one).kms.RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: key.Arn, GrantId: g.GrantId}))(t)
		revoked := time.Now()
		for _, i := range []int{0, 2} {
			within(t, fmt.Sprint("a grant that node 1 revoked is refused on node ", i), revoked, func() error { return denied(decrypt(c.at(i, guest))) })
		}
	})

	// Two nodes make the same alias: one of them is told that it exists.
	t.Run("conflict", func(t *testing.T) {
		var made, refused atomic.Int32
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				_, err := c.at(i, one).kms.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: new("alias/only-one"), TargetKeyId: key.KeyId})
				var exists *kmstypes.AlreadyExistsException
				switch {
				case err == nil:
					made.Add(1)
				case errors.As(err, &exists):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 || refused.Load() != 2 {
			t.Errorf("%d made the alias, %d were refused; want 1 and 2", made.Load(), refused.Load())
		}
	})

	t.Run("group", func(t *testing.T) {
		worker := c.works(t)
		other := c.at((worker+1)%3, one)
		other.serviceRole(t)
		g := other.group(t, 2, rootDevice(""))
		ids := g.running(t, 2)
		elsewhere := c.at((worker+2)%3, one)
		out := must(elsewhere.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}))(t)
		if len(out.Reservations) == 0 {
			t.Error("the instances are not there on the third node")
		}
		g.stop(t)
	})
}

// anyNode connects to one node after the other, as a load balancer does: a connection that is refused
// goes to the next one.
type anyNode struct {
	mu   sync.Mutex
	urls []string
	next int
}

func (a *anyNode) set(i int, url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.urls[i] = strings.TrimPrefix(url, "http://")
}

func (a *anyNode) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	var last error
	for range len(a.urls) {
		a.mu.Lock()
		address := a.urls[a.next%len(a.urls)]
		a.next++
		a.mu.Unlock()
		conn, err := d.DialContext(ctx, network, address)
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// Every node is restarted, one after the other, under load: no request fails, though clients do not
// retry. Then the node that works is killed, and another one takes the work over.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 3)
	balancer := &anyNode{urls: make([]string, 3)}
	for i, s := range c.all {
		balancer.set(i, s.URL)
	}
	ctx := t.Context()
	me := adminOf(c.all[0].URL, seed.NewAccount())
	key := must(me.kms.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata.Arn
	time.Sleep(bound)

	web := &http.Client{Transport: readOnlyBody{&http.Transport{DialContext: balancer.dial, MaxIdleConnsPerHost: 8}}}
	cfg := aws.Config{
		Region: seed.Region, BaseEndpoint: new("http://localhost:4566"), HTTPClient: web, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return me.creds, nil }),
	}
	keys, machines, tokens := kms.NewFromConfig(cfg), ec2.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	var done, failed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for _, call := range []func() error{
		func() error {
			_, err := keys.Encrypt(ctx, &kms.EncryptInput{KeyId: key, Plaintext: []byte("x")})
			return err
		},
		func() error {
			_, err := keys.TagResource(ctx, &kms.TagResourceInput{KeyId: key, Tags: []kmstypes.Tag{{TagKey: new("k"), TagValue: new("v")}}})
			return err
		},
		func() error { _, err := machines.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{}); return err },
		func() error {
			v, err := machines.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), Size: new(int32(1))})
			if err == nil && v.VolumeId == nil {
				err = errors.New("no volume")
			}
			time.Sleep(200 * time.Millisecond)
			return err
		},
		func() error {
			_, err := tokens.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
	} {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := call(); err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
				}
				done.Add(1)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	for i := range c.all {
		time.Sleep(500 * time.Millisecond)
		c.all[i].Stop()
		c.start(t, i)
		balancer.set(i, c.all[i].URL)
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	load.Wait()
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())

	worker := c.works(t)
	other := c.at((worker+1)%3, me)
	before := must(other.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{}))(t).Volumes
	c.all[worker].Kill()
	killed := time.Now()
	eventually(t, "another node works", func() (bool, string) {
		out, err := other.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
		if err != nil {
			return false, err.Error()
		}
		return len(out.Volumes) == len(before), fmt.Sprint(len(out.Volumes), " volumes")
	})
	t.Logf("another node works after %s", time.Since(killed).Round(time.Millisecond))
	if took := time.Since(killed); took > time.Minute {
		t.Errorf("that took %s", took)
	}
	must(other.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), Size: new(int32(1))}))(t)
	c.start(t, worker)
}

// A store moves into etcd and back, and so does a backup that a node makes meanwhile; ciphertexts open
// everywhere.
func TestStoreMoves(t *testing.T) {
	t.Setenv(server.StoreEnv, "") // it begins in a file
	ctx := t.Context()
	account := seed.NewAccount()
	dir := filepath.Join(t.TempDir(), "data")
	place := members.Start(t, 1).Store + "/moves"
	run := func(want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(ctx, must(server.Binary())(t), append([]string{"store"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("kagimori store %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	var secret []byte
	opens := func(dir string, args ...string) *server.Server {
		t.Helper()
		s, err := server.Run(dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		c := adminOf(s.URL, account)
		if secret == nil {
			key := must(c.kms.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata.Arn
			secret = must(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: key, Plaintext: []byte("secret")}))(t).CiphertextBlob
		}
		if out := must(c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: secret}))(t); string(out.Plaintext) != "secret" {
			t.Errorf("the ciphertext opens to %q", out.Plaintext)
		}
		return s
	}
	first := opens(dir)
	c := adminOf(first.URL, account)
	c.serviceRole(t)
	machine := must(c.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: new("ami-12c6146b"), InstanceType: "t3.micro", MinCount: new(int32(1)), MaxCount: new(int32(1)),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: new("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{Encrypted: new(true)}}},
	}))(t).Instances[0]
	blocks := 0
	// has tells that the instance runs on its volume, which is as it was.
	has := func(s *server.Server) {
		t.Helper()
		c := adminOf(s.URL, account)
		var volume string
		eventually(t, "the instance runs", func() (bool, string) {
			i := must(c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{*machine.InstanceId}}))(t).Reservations[0].Instances[0]
			if len(i.BlockDeviceMappings) == 1 {
				volume = *i.BlockDeviceMappings[0].Ebs.VolumeId
			}
			return i.State.Name == ec2types.InstanceStateNameRunning && volume != "", string(i.State.Name)
		})
		var snapshot string
		eventually(t, "the volume is there", func() (bool, string) { // its host may not be taken up yet
			out, err := c.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{VolumeId: &volume})
			if err != nil {
				return false, err.Error()
			}
			snapshot = *out.SnapshotId
			return true, ""
		})
		c.completed(t, snapshot, ec2types.SnapshotStateCompleted)
		n := len(c.content(t, snapshot))
		if n == 0 || blocks > 0 && n != blocks {
			t.Errorf("the volume has %d blocks, and had %d", n, blocks)
		}
		blocks = n
	}
	has(first)
	first.Stop()
	run("nothing is damaged", "check", "--data", dir)
	run("the volumes stay in", "migrate", "--data", dir, "--seal", "plain-file", "--store", place)
	node := opens(dir, "--store", place)
	has(node)
	run("nothing is damaged", "check", "--store", place)
	copied := filepath.Join(t.TempDir(), "backup")
	run("", "backup", "--data", dir, "--volumes", copied)
	node.Stop()
	node = opens(dir, "--store", place) // nothing is inherited twice
	has(node)
	node.Stop()
	restored := filepath.Join(t.TempDir(), "restored")
	run("restored into", "restore", "--data", restored, "--seal", "plain-file", copied)
	again := opens(restored)
	has(again)
	again.Stop()
	back := filepath.Join(t.TempDir(), "back")
	run("records were copied", "migrate", "--back", "--data", back, "--store", place)
	opens(back).Stop()
	run("the volumes of node-", "migrate", "--back", "--data", dir, "--store", place)
	single := opens(dir)
	has(single)
	single.Stop()
}
