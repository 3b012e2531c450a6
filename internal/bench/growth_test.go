package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// A crowd is a server with more and more things of a kind.
type crowd interface {
	// grow makes things until there are n, and has caches filled. The first is 0: what the server needs for
	// any of them is there then.
	grow(n int)
	// request is the processor time of a typical request.
	request() time.Duration
	server() (p *process, data string)
}

// instancesVar is how many instances there are at most: 1000 if unset, as each waits for the disk some times.
const instancesVar = "KAGIMORI_BENCH_INSTANCES"

// BenchmarkGrowth is what things cost as their number grows by powers of ten: keys, grants of one key,
// instances and Auto Scaling groups. The metrics: "disk-B" is what the store, volumes and snapshots have on
// disk, without free pages and without the trail, "heap-B" the live heap of the server after a collection,
// "anon-MB" its resident memory without files', and "cpu-us/op" the server's processor time of a typical request.
func BenchmarkGrowth(b *testing.B) {
	instances := 1000
	if v := os.Getenv(instancesVar); v != "" {
		var err error
		if instances, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	for _, kind := range []struct {
		name string
		make func(*testing.B) crowd
		most int
	}{
		{"keys", func(b *testing.B) crowd { return &keyCrowd{b: b, dir: b.TempDir()} }, 100_000},
		{"grants", newGrantCrowd, 10_000},
		{"instances", newInstanceCrowd, instances},
		{"groups", newGroupCrowd, 10_000},
	} {
		b.Run(kind.name, func(b *testing.B) {
			c := kind.make(b)
			for n := 0; n <= kind.most; n = max(10, 10*n) {
				b.Run("n="+strconv.Itoa(n), func(b *testing.B) {
					for b.Loop() {
						c.grow(n)
					}
					p, data := c.server()
					b.ReportMetric(float64(p.heap()), "heap-B")
					b.ReportMetric(float64(p.memory())/memoryPerUnit, "anon-MB")
					b.ReportMetric(float64(onDisk(b, data)), "disk-B")
					if n > 0 {
						b.ReportMetric(micros(c.request()), "cpu-us/op")
					}
				})
			}
		})
	}
}

// heap is the live heap of a server of the test binary.
func (p *process) heap() int {
	p.tb.Helper()
	res, err := http.Get(p.url + heapPath)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		p.tb.Fatalf("the heap is %q", text)
	}
	return n
}

// onDisk is what a data directory takes, without free pages and the trail.
func onDisk(tb testing.TB, data string) (n int64) {
	tb.Helper()
	used, err := usedPages(filepath.Join(data, "store.db"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, dir := range []string{"volumes", "snapshots"} {
		err := filepath.WalkDir(filepath.Join(data, dir), func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				const block = 512 // of Blocks, whatever the file system's; stat(2)
				used += info.Sys().(*syscall.Stat_t).Blocks * block
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return used
}

// usedPages is the size of the pages of a store that are not free, of one that is open elsewhere, too. Source:
// bbolt's internal/common, meta and page: the newer one of two meta pages whose sum is right says how many pages
// there are and where the list of free ones is.
func usedPages(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const header, metaSize, many = 16, 64, 0xffff
	var newest []byte
	pageSize := int64(os.Getpagesize())
	for i := range int64(2) {
		meta := make([]byte, metaSize)
		if _, err := f.ReadAt(meta, i*pageSize+header); err != nil {
			return 0, err
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:56]) // never fails
		if sum.Sum64() == binary.LittleEndian.Uint64(meta[56:]) && (newest == nil || binary.LittleEndian.Uint64(meta[48:]) > binary.LittleEndian.Uint64(newest[48:])) {
			newest = meta
		}
	}
	if newest == nil {
		return 0, errors.New("no meta page is whole")
	}
	list, pages := int64(binary.LittleEndian.Uint64(newest[32:])), int64(binary.LittleEndian.Uint64(newest[40:]))
	page := make([]byte, header+8)
	if _, err := f.ReadAt(page, list*pageSize); err != nil {
		return 0, fmt.Errorf("the list of free pages: %w", err)
	}
	free := int64(binary.LittleEndian.Uint16(page[10:]))
	if free == many {
		free = int64(binary.LittleEndian.Uint64(page[header:]))
	}
	return (pages - free) * pageSize, nil
}

// keyCrowd is keys with an alias and five grants each.
type keyCrowd struct {
	b    *testing.B
	dir  string
	s    *keysSide
	keys int
}

func (k *keyCrowd) grow(n int) {
	if k.s != nil {
		k.s.stop()
	}
	data := filepath.Join(k.dir, "data")
	if n > 0 {
		fill(k.b, k.dir, data, n)
	}
	k.s, k.keys = &keysSide{side: newSide(k.b, startProcess(k.b, roleServer, data)), keys: n}, n
	if n > 0 {
		k.s.warm(k.b)
		return
	}
	together(k.b, turn, func() error { // for what the first requests need
		return k.s.c.Do(context.Background(), "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{})
	})
}

func (k *keyCrowd) request() time.Duration {
	const times = 5000
	before := k.s.cpu()
	together(k.b, times, k.s.use(func() int { return rand.IntN(k.keys) }))
	return (k.s.cpu() - before) / times
}

func (k *keyCrowd) server() (*process, string) { return k.s.p, filepath.Join(k.dir, "data") }

// grantCrowd is grants of one key, one of which lets a user generate data keys.
type grantCrowd struct {
	b     *testing.B
	data  string
	admin side
	user  *client.Client
	key   string
	made  int
}

func newGrantCrowd(b *testing.B) crowd {
	data := b.TempDir()
	g := &grantCrowd{b: b, data: data, admin: newSide(b, startProcess(b, roleServer, data))}
	iam, err := client.New(g.admin.p.url, testkit.Region, testkit.Admin(account), iamapi.Service())
	if err != nil {
		b.Fatal(err)
	}
	g.key = newKey(b, g.admin.c)
	var user iamapi.CreateUserResponse
	var access iamapi.CreateAccessKeyResponse
	err = errors.Join(iam.Do(b.Context(), "CreateUser", &iamapi.CreateUserRequest{UserName: new("app")}, &user),
		iam.Do(b.Context(), "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: new("app")}, &access))
	if err != nil {
		b.Fatal(err)
	}
	creds := sigv4.Credentials{AccessKeyID: *access.AccessKey.AccessKeyId, Secret: secret.String(*access.AccessKey.SecretAccessKey)}
	if g.user, err = client.New(g.admin.p.url, testkit.Region, creds, kmsapi.Service()); err != nil {
		b.Fatal(err)
	}
	g.user.HTTP = g.admin.c.HTTP
	g.grant(*user.User.Arn, "GenerateDataKey")
	return g
}

func (g *grantCrowd) grant(to, operation string) {
	err := g.admin.c.Do(context.Background(), "CreateGrant", &kmsapi.CreateGrantRequest{
		KeyId: &g.key, GranteePrincipal: &to, Operations: []string{operation},
	}, &kmsapi.CreateGrantResponse{})
	if err != nil {
		g.b.Error(err)
	}
}

func (g *grantCrowd) grow(n int) {
	together(g.b, n-g.made, func() error { g.grant(arn.Root("444455556666"), "Decrypt"); return nil })
	g.made = n
	g.use(turn)
}

func (g *grantCrowd) use(times int) {
	together(g.b, times, func() error {
		return g.user.Do(context.Background(), "GenerateDataKey", &kmsapi.GenerateDataKeyRequest{KeyId: &g.key, NumberOfBytes: new(int32(32))}, &kmsapi.GenerateDataKeyResponse{})
	})
}

func (g *grantCrowd) request() time.Duration {
	const times = 5000
	before := g.admin.p.cpu()
	g.use(times)
	return (g.admin.p.cpu() - before) / times
}

func (g *grantCrowd) server() (*process, string) { return g.admin.p, g.data }

// groupCrowd is Auto Scaling groups; one of them is resized.
type groupCrowd struct{ *fleet }

// resized is the group that is there from the start.
const resized = "g00001"

func newGroupCrowd(b *testing.B) crowd {
	f := newFleet(b)
	f.grow(1, 1)
	return groupCrowd{f}
}

func (g groupCrowd) grow(n int) {
	if n > 0 {
		g.fleet.grow(n, 0)
	}
	g.change(resized, 2)
	g.change(resized, 1)
}

func (g groupCrowd) request() time.Duration {
	const times = 25
	var sum time.Duration
	for range times {
		sum += g.change(resized, 2) + g.change(resized, 1)
	}
	return sum / (2 * times)
}

func (g groupCrowd) server() (*process, string) { return g.p, g.data }

// instanceCrowd is running instances with an encrypted volume each.
type instanceCrowd struct{ *launcher }

func newInstanceCrowd(b *testing.B) crowd {
	return instanceCrowd{&launcher{fleet: newFleet(b), volumes: 1}}
}

func (i instanceCrowd) grow(n int) {
	if n > 0 {
		i.upTo(n)
		return
	}
	var ids []string // of some for what the first ones need
	for range 5 {
		ids = append(ids, i.launch(batch)...)
	}
	i.do("TerminateInstances", &ec2api.TerminateInstancesRequest{InstanceIds: ids}, &ec2api.TerminateInstancesResult{})
	i.advance("3h")
	i.running = 0
}

func (i instanceCrowd) request() time.Duration {
	const rounds = 3
	before := i.p.cpu()
	for range rounds {
		i.launch(batch)
	}
	return (i.p.cpu() - before) / (rounds * batch)
}

func (i instanceCrowd) server() (*process, string) { return i.p, i.data }
