package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A collector is what a sink delivers to: its lines, and whether it takes any.
type collector struct {
	mu    sync.Mutex
	lines bytes.Buffer
	dead  bool
}

func (c *collector) add(data []byte) (taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.lines.Write(data)
	return true
}

func (c *collector) kill(dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = dead
}

// save writes the lines to a file, for the command to verify.
func (c *collector) save(t *testing.T) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	name := filepath.Join(t.TempDir(), "collected")
	if err := os.WriteFile(name, c.lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const hookSecret = "a secret for the webhook"

// receiver is a webhook, as its documentation says to write one.
func (c *collector) receiver(t *testing.T) (url string, flags []string) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		stamp, sum, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Kagimori-Audit-Signature"), "t="), ",v1=")
		mac := hmac.New(sha256.New, []byte(hookSecret))
		fmt.Fprintf(mac, "%s.%s.%s.%s.", stamp, r.Header.Get("Kagimori-Audit-Node"), r.Header.Get("Kagimori-Audit-First"), r.Header.Get("Kagimori-Audit-Last"))
		mac.Write(body)
		if hex.EncodeToString(mac.Sum(nil)) != sum {
			t.Errorf("signature of %s", r.Header)
		}
		if !c.add(body) {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "secret")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "https://example.com/audit", []string{
		"--audit-sink", "webhook,url=https://example.com/audit,secret-file=" + key,
		"--outbound-ca", ca, "--outbound-connect", "example.com=" + srv.Listener.Addr().String(),
	}
}

// syslog is a server of syslog over TCP.
func (c *collector) syslog(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					count, err := r.ReadString(' ')
					n, perr := strconv.Atoi(strings.TrimSpace(count))
					if err != nil || perr != nil {
						return
					}
					m := make([]byte, n)
					if _, err := io.ReadFull(r, m); err != nil {
						return
					}
					c.add(append(m, '\n'))
				}
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

func kagimori(t *testing.T, args ...string) (string, error) {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
	return string(out), err
}

// endOf is the end that a command printed.
func endOf(t *testing.T, out string) string {
	t.Helper()
	_, end, ok := strings.Cut(out, "its end is ")
	end, _, _ = strings.Cut(end, ";")
	if !ok {
		t.Fatalf("no end in %q", out)
	}
	return strings.TrimSpace(end)
}

// TestAuditSinks take the whole audit log, through a kill too, and what they have can be verified.
func TestAuditSinks_TakeTheWholeLogThroughAKill(t *testing.T) {
	dir, out := filepath.Join(t.TempDir(), "data"), t.TempDir()
	var hook, logs collector
	_, args := hook.receiver(t)
	file := filepath.Join(out, "audit.jsonl")
	args = append(args, "--audit-sink", "file,path="+file+",max-size=20KiB", "--audit-sink", "syslog,address="+logs.syslog(t))
	s := server.Start(t, dir, args...)
	work := func() {
		c := adminOf(s.URL, "111122223333")
		key := *must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{}))(t).KeyMetadata.KeyId
		for range 40 {
			must(c.kms.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, NumberOfBytes: new(int32(32))}))(t)
		}
	}
	work()
	s.Kill()
	s = server.Start(t, dir, args...)
	work()
	eventually(t, "all sinks have all", func() (bool, string) {
		text, err := kagimori(t, "trail", "sinks", "--data", dir)
		return err == nil && strings.Count(text, "\n") == 4 && strings.Count(text, " 0       0s ") == 3, text
	})
	if os.Getenv(server.StoreEnv) == "" { // a node is asked while it runs: what it verifies with is in etcd
		s.Stop()
	}

	files, err := filepath.Glob(filepath.Join(out, "audit-*.jsonl.gz"))
	if err != nil || len(files) < 2 {
		t.Fatalf("old files %v, %v", files, err)
	}
	for name, copied := range map[string][]string{"file": append(files, file), "webhook": {hook.save(t)}, "syslog": {logs.save(t)}} {
		text, err := kagimori(t, append([]string{"trail", "verify"}, copied...)...)
		if err != nil || !strings.Contains(text, "whole from record 1 on") {
			t.Errorf("%s: %v %s", name, err, text)
			continue
		}
		if text, err := kagimori(t, "trail", "verify", "--data", dir, "--seal", "plain-file", "--since", endOf(t, text)); err != nil {
			t.Errorf("%s: the log does not have its end: %s", name, text)
		}
		if text, err := kagimori(t, append([]string{"trail", "verify", "--data", dir, "--seal", "plain-file"}, copied...)...); err != nil || strings.Contains(text, "not checked") {
			t.Errorf("%s with signatures: %v %s", name, err, text)
		}
		data, err := os.ReadFile(copied[len(copied)-1])
		if err != nil || name == "file" {
			continue
		}
		forged := filepath.Join(t.TempDir(), "forged")
		if err := os.WriteFile(forged, bytes.Replace(data, []byte(`"eventName":"GenerateDataKey"`), []byte(`"eventName":"GenerateDataKez"`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := kagimori(t, "trail", "verify", forged); err == nil || !strings.Contains(text, "broken") {
			t.Errorf("%s: a changed copy is taken: %s", name, text)
		}
	}
}

// TestAuditRequired: without the sink there are no answers, and with it there are again.
func TestAuditRequired_RefusesWhatIsNotTaken(t *testing.T) {
	var hook collector
	_, args := hook.receiver(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private := l.Addr().String()
	l.Close()
	s, err := server.Run(filepath.Join(t.TempDir(), "data"), append(args, "--audit-required", "2s", "--private-listen", private)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	c := adminOf(s.URL, "111122223333")
	create := func() error {
		_, err := c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{}, func(o *kms.Options) { o.RetryMaxAttempts = 1 })
		return err
	}
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + private + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	hook.kill(true)
	noted := false
	eventually(t, "requests are refused", func() (bool, string) {
		if code, body := get("/ready"); code == 200 && strings.Contains(body, "the audit sink webhook is behind by") {
			noted = true
		}
		err := create()
		return err != nil && strings.Contains(err.Error(), "ServiceUnavailable") && strings.Contains(err.Error(), "StatusCode: 503"), fmt.Sprint(err)
	})
	if !noted {
		t.Error("/ready has not told of the sink before")
	}
	if code, body := get("/ready"); code != 503 || !strings.Contains(body, "not taken by a sink") {
		t.Errorf("/ready: %d %s", code, body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "kagimori_ready 0") || strings.Contains(body, `kagimori_audit_sink_failures_total{sink="webhook"} 0`) {
		t.Error("the figures do not tell")
	}
	hook.kill(false)
	eventually(t, "requests are served again", func() (bool, string) { err := create(); return err == nil, fmt.Sprint(err) })
	if code, body := get("/ready"); code != 200 {
		t.Errorf("/ready: %d %s", code, body)
	}
	s.Stop()
	if text, err := kagimori(t, "trail", "verify", hook.save(t)); err != nil {
		t.Error(text)
	}
}
