package ec2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/blockdev"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/hosts"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/machine"
	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/store"
)

// hostsPatience is how long the hosts of these tests may be silent.
const hostsPatience = 24 * time.Second

// A cluster is a house whose service works for several hosts over one store, in a bubble: time passes when
// everybody waits. The first host is the service's own.
type cluster struct {
	*house
	nodes map[string]*clusterNode
	token uint64
	// crewed: hosts run machines.
	crewed bool
	// hook, unless nil, sees each request to another host first, and may answer it with an error.
	hook func(name, op string, request []byte) error
}

// A clusterNode is a host, with its disk.
type clusterNode struct {
	c       *cluster
	name    string
	dir     string
	volumes *os.Root
	shelf   *blockdev.Shelf
	agent   *hosts.Agent
	alone   bool // nobody else can read its snapshots
	crew    *crew
	earlier bool // its version is

	mu  sync.Mutex
	off bool // cut off from the store and the others; guarded by mu
}

func (n *clusterNode) cut(off bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off = off
}

func (n *clusterNode) isOff() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.off
}

// A nodeStore is the store as a node sees it that may be cut off.
type nodeStore struct {
	store.Store
	n *clusterNode
}

func (s nodeStore) View(ctx context.Context, fn func(store.Tx) error) error {
	if s.n.isOff() {
		return store.ErrUnavailable
	}
	return s.Store.View(ctx, fn)
}

func (s nodeStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.n.isOff() {
		return store.ErrUnavailable
	}
	return s.Store.Update(ctx, func(tx store.Tx) error {
		if s.n.earlier {
			tx = earlierTx{tx}
		}
		return fn(tx)
	})
}

// An earlierTx writes what a node of an earlier version says of itself.
type earlierTx struct{ store.Tx }

func (tx earlierTx) Put(bucket, key string, data []byte) error {
	return tx.Tx.Put(bucket, key, bytes.ReplaceAll(data, []byte(`,"skill":1`), nil))
}

// inCluster runs a test with hosts of these names.
func inCluster(t *testing.T, test func(t *testing.T, c *cluster), names ...string) {
	t.Helper()
	inClusterOf(t, false, test, names...)
}

func inClusterOf(t *testing.T, crewed bool, test func(t *testing.T, c *cluster), names ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := guardtest.New(t)
		h := &house{desk: &desk{&ec2test.Desk{World: w}}}
		h.kms = kms.New(kms.Config{Guard: w.Guard, Module: w.Module, Clock: w.Clock, Logger: w.Logger, CustomIDs: true})
		w.Must(h.kms.Start(t.Context()))
		h.wire = &wiretap{guard: w.Guard, kms: h.kms}
		c := &cluster{house: h, nodes: map[string]*clusterNode{}, crewed: crewed}
		for _, name := range names {
			c.join(name)
		}
		c.term(names[0])
		t.Cleanup(func() {
			c.ec2.Stop()
			for _, n := range c.nodes {
				n.agent.Stop()
			}
		})
		c.wait(3 * time.Second)
		test(t, c)
	})
}

// join adds a host.
func (c *cluster) join(name string) *clusterNode {
	c.T.Helper()
	n := &clusterNode{c: c, name: name, dir: c.T.TempDir()}
	var err error
	for _, sub := range []string{"volumes", "snapshots"} {
		c.Must(os.Mkdir(filepath.Join(n.dir, sub), 0o700))
	}
	n.volumes, err = os.OpenRoot(filepath.Join(n.dir, "volumes"))
	c.Must(err)
	c.T.Cleanup(func() { c.Must(n.volumes.Close()) })
	c.nodes[name] = n
	n.start()
	return n
}

// start makes the host's process.
func (n *clusterNode) start() {
	c := n.c
	c.T.Helper()
	own := c.snapshots(n.name)
	n.shelf = blockdev.NewShared(n.volumes, own, func() (others []objects.Store) {
		for _, name := range c.names() {
			if name != n.name {
				others = append(others, c.snapshots(name))
			}
		}
		return others
	})
	told := n.name
	if n.alone {
		told = ""
	}
	var machines machine.Driver
	if c.crewed {
		n.crew = &crew{t: c.T, all: c.nodes, running: map[string]*crewMachine{}, consoles: map[string]string{}}
		machines = n.crew
	}
	var err error
	n.agent, err = hosts.NewAgent(hosts.AgentConfig{
		Machines: machines, Dial: n.dial,
		Name: n.name, URL: "http://" + n.name, Shelf: told, Store: nodeStore{c.Store, n}, Volumes: n.shelf, Now: c.Clock.Now, Patience: hostsPatience, Logger: c.Logger,
		ExportAddresses: []string{"tcp:" + n.name + ":10809"},
	})
	c.Must(err)
	n.agent.Start(c.T.Context())
}

func (c *cluster) names() (out []string) {
	for name := range c.nodes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (c *cluster) snapshots(name string) objects.Store {
	root, err := os.OpenRoot(filepath.Join(c.nodes[name].dir, "snapshots"))
	c.Must(err)
	c.T.Cleanup(func() { c.Must(root.Close()) })
	return objects.NewFolder(root)
}

// crash ends the process of a host, which says nothing.
func (n *clusterNode) crash() {
	n.cut(true)
	n.agent.Stop()
}

// back starts it again.
func (n *clusterNode) back() {
	n.cut(false)
	n.start()
}

// term has the node of a host work, under a new lease.
func (c *cluster) term(name string) {
	c.T.Helper()
	c.token++
	n := c.nodes[name]
	c.folder = n.shelf
	c.ec2 = ec2.New(ec2.Config{
		Guard: c.Guard, Clock: c.Clock, Keys: c.wire, Volumes: n.shelf, Logger: c.Logger, Profiles: profilesOfMine, Roles: rolesOfMine{c.house},
		Host: n.name, Agent: n.agent, Peers: c.peers(n), StopWait: time.Second,
		Changed: func(_ context.Context, _, _, instance string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.changes = append(c.changes, instance)
		},
	})
	c.Ops = c.ec2.Operations()
	c.Must(c.ec2.Start(store.WithFence(c.T.Context(), store.Fence{Lease: "controllers", Token: c.token})))
}

// hooks sets the hook while hosts are being asked.
func (c *cluster) hooks(hook func(name, op string, request []byte) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = hook
}

// peers carries requests of a node to other hosts.
func (c *cluster) peers(from *clusterNode) hosts.Call {
	return func(ctx context.Context, url string, request []byte) ([]byte, error) {
		name := url[len("http://"):]
		n := c.nodes[name]
		if n == nil || n.isOff() || from.isOff() {
			return nil, errors.New("no route to host")
		}
		c.mu.Lock()
		hook := c.hook
		c.mu.Unlock()
		if hook != nil {
			if err := hook(name, asked(request).Op, request); err != nil {
				return nil, err
			}
		}
		return n.agent.Serve(ctx, bytes.Clone(request)), nil
	}
}

// A hostAsk is what the tests read of a request to a host.
type hostAsk struct {
	Op       string `json:"op"`
	Token    uint64 `json:"token"`
	ID       string `json:"id"`
	Instance string `json:"instance"`
}

func asked(request []byte) (in hostAsk) {
	if err := json.Unmarshal(request, &in); err != nil {
		panic(err) // made by the service
	}
	return in
}

// A hostSays is what they read of an answer.
type hostSays struct {
	Fault string              `json:"fault"`
	Text  string              `json:"text"`
	Life  string              `json:"life"`
	Held  map[string][]string `json:"held"`
}

func (n *clusterNode) asks(request string) (out hostSays) {
	n.c.T.Helper()
	n.c.Must(json.Unmarshal(n.agent.Serve(n.c.T.Context(), []byte(request)), &out))
	return out
}

// wait lets time pass, and jobs end.
func (c *cluster) wait(d time.Duration) {
	c.T.Helper()
	time.Sleep(d)
	synctest.Wait()
}

// files are the volumes on a host's disk.
func (n *clusterNode) files() []string {
	n.c.T.Helper()
	ids, err := blockdev.List(n.shelf)
	n.c.Must(err)
	return slices.DeleteFunc(ids, func(id string) bool { return id[:4] != "vol-" })
}

// at is the host that has the file of a volume.
func (c *cluster) at(volume string) string {
	c.T.Helper()
	var found []string
	for _, name := range c.names() {
		if slices.Contains(c.nodes[name].files(), volume) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return fmt.Sprint(found)
	}
	return found[0]
}

// on launches an instance that lands on a host, with a data volume under a key.
func (c *cluster) on(host, key string) (instance, volume string) {
	c.T.Helper()
	for range 2 * len(c.nodes) {
		instance = *ask[ec2api.Reservation](c.desk, c.owner(), runRequest(encrypted("/dev/sdf", key))).Instances[0].InstanceId
		c.wait(6 * time.Second)
		c.wantState(instance, "running")
		if volume = *c.volumeOn(instance, "/dev/sdf").VolumeId; c.at(volume) == host {
			return instance, volume
		}
	}
	c.T.Fatalf("no instance lands on %s", host)
	return "", ""
}

// volumeIn makes a volume on a host.
func (c *cluster) volumeIn(host, key string) (id string) {
	c.T.Helper()
	for range 2 * len(c.nodes) {
		id = *ask[ec2api.Volume](c.desk, c.owner(), &ec2api.CreateVolumeRequest{AvailabilityZone: new(zoneA), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId
		c.wait(3 * time.Second)
		if c.at(id) == host {
			return id
		}
	}
	c.T.Fatalf("no volume lands on %s", host)
	return ""
}

func (c *cluster) wantVolume(id, state, status string) {
	c.T.Helper()
	v := ask[ec2api.DescribeVolumesResult](c.desk, c.owner(), &ec2api.DescribeVolumesRequest{VolumeIds: []string{id}}).Volumes[0]
	s := ask[ec2api.DescribeVolumeStatusResult](c.desk, c.owner(), &ec2api.DescribeVolumeStatusRequest{VolumeIds: []string{id}}).VolumeStatuses[0]
	if *v.State != state || *s.VolumeStatus.Status != status {
		c.T.Errorf("volume %s is %s and %s, want %s and %s", id, *v.State, *s.VolumeStatus.Status, state, status)
	}
}

func (c *cluster) wantSystem(instance, status string) {
	c.T.Helper()
	s := ask[ec2api.DescribeInstanceStatusResult](c.desk, c.owner(), &ec2api.DescribeInstanceStatusRequest{InstanceIds: []string{instance}, IncludeAllInstances: new(true)}).InstanceStatuses[0]
	if *s.SystemStatus.Status != status {
		c.T.Errorf("instance %s is %s, want %s", instance, *s.SystemStatus.Status, status)
	}
}
