package partition

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// cpu is how long a process has had a processor. Source: clock_getcpuclockid(3): the clock of a process has its
// number in its name.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	const ofProcess = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|ofProcess), &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// A fleet is servers that are asked in turn, each for a key of its own store.
type fleet struct {
	name    string
	servers []*process
	asked   []*client.Client
	key     string
	singly  bool                       // one server after the other, each as busy as one that is alone, while the others follow
	cpu     map[string][]time.Duration // for each request, by operation
	idle    time.Duration              // for each second
}

var benchReads = map[string]func(c *client.Client, key string) error{
	"DescribeKey": func(c *client.Client, key string) error {
		return c.Do(context.Background(), "DescribeKey", &kmsapi.DescribeKeyRequest{KeyId: &key}, nil)
	},
	"Encrypt": func(c *client.Client, key string) error {
		return c.Do(context.Background(), "Encrypt", &kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("secret")}, nil)
	},
}

// ask sends n requests from several clients, and returns the processors' time for each.
func (f *fleet) ask(b *testing.B, op string, n int) time.Duration {
	b.Helper()
	used := func() (sum time.Duration) {
		for _, s := range f.servers {
			sum += s.cpu(b)
		}
		return sum
	}
	before, began := used(), time.Now()
	groups := [][]*client.Client{f.asked}
	if f.singly {
		groups = slices.Collect(slices.Chunk(f.asked, 1))
	}
	sent := 0
	for _, asked := range groups {
		clients := 6 * len(asked)
		each := n / len(groups) / clients
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				for range each {
					if err := benchReads[op](asked[i%len(asked)], f.key); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		sent += each * clients
	}
	return (used() - before - time.Duration(float64(f.idle)*time.Since(began).Seconds())) / time.Duration(sent)
}

// rest measures what the servers use while nobody asks.
func (f *fleet) rest(b *testing.B) {
	b.Helper()
	const long = 3 * time.Second
	sum := time.Duration(0)
	for _, s := range f.servers {
		sum -= s.cpu(b)
	}
	time.Sleep(long)
	for _, s := range f.servers {
		sum += s.cpu(b)
	}
	f.idle = time.Duration(float64(sum) / long.Seconds())
}

// What a read costs one server with a file, one node over etcd, and three, all at once and one after the other: the same processors' time for each
// request means that three nodes on processors of their own serve three times as much. What the nodes use at
// rest is taken off, and told.
func BenchmarkNodes(b *testing.B) {
	binary, member := programs(b)
	w := newWorld(b, Config{Binary: binary, Member: member})
	alone := serve(b, binary, filepath.Join(b.TempDir(), "alone"))
	creds := sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: "test"}
	over := func(name string, nodes int) *fleet {
		f := &fleet{name: name, cpu: map[string][]time.Duration{}}
		for i := range nodes {
			address, err := w.net.Listen(fmt.Sprint("n", i), "api")
			if err != nil {
				b.Fatal(err)
			}
			c, err := client.New("http://"+address, region, creds, kmsapi.Service())
			if err != nil {
				b.Fatal(err)
			}
			c.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
			f.servers, f.asked = append(f.servers, w.nodes[i]), append(f.asked, c)
		}
		return f
	}
	alone.kms.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	singly := over("three nodes singly", 3)
	singly.singly = true
	fleets := []*fleet{
		{name: "file", servers: []*process{alone.process}, asked: []*client.Client{alone.kms}, cpu: map[string][]time.Duration{}},
		over("one node", 1), over("three nodes", 3), singly,
	}
	for _, f := range fleets {
		var key kmsapi.CreateKeyResponse
		if err := f.asked[0].Do(b.Context(), "CreateKey", &kmsapi.CreateKeyRequest{}, &key); err != nil {
			b.Fatal(err)
		}
		f.key = *key.KeyMetadata.KeyId
	}
	time.Sleep(Bound)
	const rounds, requests = 9, 9000
	for op := range benchReads {
		for _, f := range fleets {
			f.ask(b, op, requests) // to warm up
		}
	}
	for _, f := range fleets {
		f.rest(b)
	}
	for range rounds { // in turn: others use the machine too
		for op := range benchReads {
			for _, f := range fleets {
				f.cpu[op] = append(f.cpu[op], f.ask(b, op, requests))
			}
		}
	}
	median := func(f *fleet, op string) time.Duration {
		slices.Sort(f.cpu[op])
		return f.cpu[op][len(f.cpu[op])/2]
	}
	b.ReportMetric(0, "ns/op")
	for _, f := range fleets {
		name := strings.ReplaceAll(f.name, " ", "-")
		b.ReportMetric(float64(f.idle.Microseconds())/1000, name+"-ms-idle/s")
		for op := range benchReads {
			b.ReportMetric(float64(median(f, op).Nanoseconds())/1000, name+"-us/"+op)
			b.ReportMetric(float64(median(f, op))/float64(median(fleets[0], op)), name+"-ratio/"+op)
		}
	}
}
