package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// libraries are where Debian and others have SoftHSM.
var libraries = []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"}

// token makes a SoftHSM token and returns the URI of a key on it.
func token(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	write(t, conf, "directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	t.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "test", "--so-pin", "5678", "--pin", "1234").CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util (apt-get install softhsm2): %v\n%s", err, out)
	}
	pin := filepath.Join(dir, "pin")
	write(t, pin, "1234\n")
	for _, l := range libraries {
		if _, err := os.Stat(l); err == nil {
			return fmt.Sprintf("pkcs11:token=test;object=root?module-path=%s&pin-source=%s", l, pin)
		}
	}
	t.Fatal("the library of SoftHSM is not found (apt-get install softhsm2)")
	return ""
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, op, uri string, data []byte) answer {
	t.Helper()
	line, err := json.Marshal(request{op, uri, data})
	if err != nil {
		t.Fatal(err)
	}
	return serve(bytes.NewReader(append(line, '\n')))
}

func TestTokenWrapsAndUnwraps(t *testing.T) {
	uri := token(t)
	if a := ask(t, "unwrap", uri, make([]byte, 60)); !strings.Contains(a.Error, `the token has no AES key "root"`) {
		t.Errorf("without a key: %+v", a)
	}
	key := bytes.Repeat([]byte{7}, 32)
	sealed := ask(t, "wrap", uri, key)
	if sealed.Error != "" || bytes.Contains(sealed.Data, key) {
		t.Fatalf("wrap: %+v", sealed)
	}
	if again := ask(t, "wrap", uri, key); bytes.Equal(again.Data, sealed.Data) {
		t.Error("the same nonce twice")
	}
	if a := ask(t, "unwrap", uri, sealed.Data); !bytes.Equal(a.Data, key) {
		t.Errorf("unwrap: %+v", a)
	}
	other := strings.Replace(uri, "object=root", "object=other", 1)
	ask(t, "wrap", other, key)
	if a := ask(t, "unwrap", other, sealed.Data); !a.Wrong {
		t.Errorf("with another key: %+v", a)
	}
	sealed.Data[20] ^= 1
	if a := ask(t, "unwrap", uri, sealed.Data); !a.Wrong {
		t.Errorf("altered: %+v", a)
	}
	wrongPIN := filepath.Join(t.TempDir(), "pin")
	write(t, wrongPIN, "9999")
	i := strings.Index(uri, "pin-source=")
	if a := ask(t, "wrap", uri[:i]+"pin-source="+wrongPIN, key); !strings.Contains(a.Error, "does not take the PIN") || strings.Contains(a.Error, "9999") {
		t.Errorf("a wrong PIN: %+v", a)
	}
	if a := ask(t, "wrap", strings.Replace(uri, "token=test", "token=none", 1), key); !strings.Contains(a.Error, "0 tokens") {
		t.Errorf("another token: %+v", a)
	}
}

func TestBadURIs(t *testing.T) {
	for _, uri := range []string{"", "pkcs11:", "pkcs11:object=x", "pkcs11:object=x?module-path=%zz&pin-source=y", "pkcs11:object=x;type=private?module-path=m&pin-source=p", "pkcs11:nothing=x", "http://x"} {
		if _, err := parse(uri); err == nil {
			t.Errorf("%q was taken", uri)
		}
	}
	if a := serve(strings.NewReader("what?\n")); a.Error == "" {
		t.Error("a request that is none was answered")
	}
}

// A server whose root key a token seals starts again with the token, and not without it.
func TestServerSealedByAToken(t *testing.T) {
	bin := os.Getenv("KAGIMORI_BIN")
	helper := os.Getenv("KAGIMORI_PKCS11")
	if bin == "" || helper == "" {
		t.Fatal("KAGIMORI_BIN and KAGIMORI_PKCS11 name the programs to test; make pkcs11 sets them")
	}
	uri, data := token(t), filepath.Join(t.TempDir(), "data")
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		var log bytes.Buffer
		cmd := exec.Command(bin, "serve", "--listen", addr, "--data", data, "--seal", uri, "--pkcs11-helper", helper)
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		up := false
		for end := time.Now().Add(20 * time.Second); !up && time.Now().Before(end); {
			// The connection waits until the server is open.
			resp, err := http.Get("http://" + addr + "/_kagimori/health")
			if up = err == nil && resp.StatusCode == http.StatusOK; err == nil {
				resp.Body.Close()
			}
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil || !up {
			t.Fatalf("up: %v, %v\n%s", up, err, log.String())
		}
	}
	other := strings.Replace(uri, "object=root", "object=lost", 1)
	out, err := exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--data", data, "--seal", other, "--pkcs11-helper", helper).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `the token has no AES key "lost"`) {
		t.Errorf("with another key: %v\n%s", err, out)
	}
}
