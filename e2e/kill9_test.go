package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

const (
	killRounds  = 20
	killWriters = 4
)

// promised is what a server acknowledged about a key.
type promised struct {
	arn        string
	grants     map[string]bool
	policy     int // number of the last acknowledged policy; 0 is that of creation
	asked      int // number of the last policy that was asked for
	ciphertext []byte
}

// TestKill9 kills a server in the middle of a stream of changes, again and again on one data
// directory: whatever was acknowledged is there afterwards.
func TestKill9_EveryAcknowledgedChangeIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	account := seed.NewAccount()
	all := map[string]*promised{}
	for round := range killRounds {
		s := run9(t, dir)
		c := rootOf(s.URL, account)
		// What earlier rounds left is looked at in part now and whole at the end.
		seen := 0
		for _, p := range all {
			if seen++; seen > 15 {
				break
			}
			p.check(t, c)
		}
		made := streamUntilKilled(t, s, c)
		for _, line := range s.Trouble() {
			t.Errorf("round %d: server: %s", round, line)
		}
		if len(made) == 0 {
			t.Errorf("round %d: nothing was acknowledged before the kill", round)
		}
		maps.Copy(all, made)
		again := run9(t, dir)
		c = rootOf(again.URL, account)
		for _, p := range made {
			p.check(t, c)
		}
		again.Kill()
		if t.Failed() {
			t.Fatalf("round %d of %d failed; the end of the server's log:\n%s", round, killRounds, again.Tail(3000))
		}
	}
	s := server.Start(t, dir)
	c := rootOf(s.URL, account)
	for _, p := range all {
		p.check(t, c)
	}
	made := recordedOnce(t, dir)
	grants := 0
	for _, p := range all {
		grants += len(p.grants)
		if made[p.arn] != 1 {
			t.Errorf("the making of %s is recorded %d times", p.arn, made[p.arn])
		}
	}
	t.Logf("%d kills, %d keys and %d grants acknowledged, none lost", killRounds, len(all), grants)
}

// recordedOnce reads the audit log as a server that has just started left it: no event is there twice.
// It gives how many records say that a key was made, by ARN.
func recordedOnce(t *testing.T, dir string) map[string]int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "trail", "*.jsonl"))
	if err != nil || len(names) == 0 {
		t.Fatalf("the audit log's files: %v, %v", names, err)
	}
	made, events := map[string]int{}, map[string]bool{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var rec struct {
				EventID, EventName string
				Resources          []struct{ ARN string }
			}
			if err := json.Unmarshal(line, &rec); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if rec.EventID != "" && events[rec.EventID] {
				t.Errorf("%s %s is recorded twice", rec.EventName, rec.EventID)
			}
			events[rec.EventID] = true
			if rec.EventName == "CreateKey" && len(rec.Resources) == 1 {
				made[rec.Resources[0].ARN]++
			}
		}
	}
	return made
}

// streamUntilKilled writes from several goroutines, kills the server at a random moment and gives
// what was acknowledged.
func streamUntilKilled(t *testing.T, s *server.Server, c *client) map[string]*promised {
	t.Helper()
	var (
		mu     sync.Mutex
		made   = map[string]*promised{}
		killed = make(chan struct{})
		first  = make(chan struct{})
		once   sync.Once
		wg     sync.WaitGroup
	)
	for range killWriters {
		wg.Go(func() {
			for {
				p, err := write(t.Context(), c, func() { once.Do(func() { close(first) }) })
				if p != nil {
					mu.Lock()
					made[p.arn] = p
					mu.Unlock()
				}
				if err == nil {
					continue
				}
				select {
				case <-killed:
				case <-time.After(time.Second): // the answer may be cut before killed is closed
					t.Errorf("a change failed before the server was killed: %v", err)
				}
				return
			}
		})
	}
	select {
	case <-first:
	case <-time.After(patience):
		t.Error("nothing was acknowledged")
	}
	time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // a random moment is the test
	s.Kill()
	close(killed)
	wg.Wait()
	return made
}

// write makes a key with grants and policies until something fails.
func write(ctx context.Context, c *client, acknowledged func()) (*promised, error) {
	out, err := c.kms.CreateKey(ctx, &kms.CreateKeyInput{Policy: new(numbered(c.account, 0))})
	if err != nil {
		return nil, err
	}
	p := &promised{arn: *out.KeyMetadata.Arn, grants: map[string]bool{}}
	acknowledged()
	enc, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &p.arn, Plaintext: []byte(p.arn)})
	if err != nil {
		return p, err
	}
	p.ciphertext = enc.CiphertextBlob
	for i := 1; i <= 3; i++ {
		g, err := c.kms.CreateGrant(ctx, &kms.CreateGrantInput{
			KeyId: &p.arn, GranteePrincipal: new(seed.Root(c.account)), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		})
		if err != nil {
			return p, err
		}
		p.grants[*g.GrantId] = true
		p.asked = i
		if _, err := c.kms.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &p.arn, Policy: new(numbered(c.account, i))}); err != nil {
			return p, err
		}
		p.policy = i
	}
	return p, nil
}

// numbered is a key policy that tells its number.
func numbered(account string, n int) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Id":"n%d","Statement":[%s]}`, n, seed.Full(seed.Root(account)))
}

var number = regexp.MustCompile(`"Id":"n(\d+)"`)

// check compares a key with what was promised about it.
func (p *promised) check(t *testing.T, c *client) {
	t.Helper()
	m, err := c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &p.arn})
	if err != nil {
		t.Errorf("an acknowledged key is lost: %v", err)
		return
	}
	if m.KeyMetadata.KeyState != kmstypes.KeyStateEnabled {
		t.Errorf("key %s is %s", p.arn, m.KeyMetadata.KeyState)
	}
	if p.ciphertext != nil {
		dec := must(c.kms.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: p.ciphertext}))(t)
		if !bytes.Equal(dec.Plaintext, []byte(p.arn)) {
			t.Errorf("a ciphertext under %s does not decrypt to what it was", p.arn)
		}
	}
	left := maps.Clone(p.grants)
	all := c.grants(t, p.arn)
	for _, g := range all {
		delete(left, *g.GrantId)
	}
	if len(left) > 0 {
		t.Errorf("key %s lost the acknowledged grants %v", p.arn, left)
	}
	if len(all) > len(p.grants)+1 {
		t.Errorf("key %s has %d grants, %d were acknowledged and one may have been under way", p.arn, len(all), len(p.grants))
	}
	policy := *must(c.kms.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: &p.arn}))(t).Policy
	found := number.FindStringSubmatch(policy)
	if found == nil {
		t.Errorf("the policy of %s is %s", p.arn, policy)
		return
	}
	if n, _ := strconv.Atoi(found[1]); n < p.policy || n > p.asked || policy != numbered(c.account, n) {
		t.Errorf("the policy of %s is number %d, acknowledged was %d, asked for %d: %s", p.arn, n, p.policy, p.asked, policy)
	}
}
