package partition

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/kagimori/kagimori/e2e/etcdtest"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// papers are the files of an authority: its certificate, and two that it signed, with their keys.
type papers struct{ ca, server, serverKey, client, clientKey string }

func newPapers(t *testing.T) (p papers) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var issuer *x509.Certificate
	var issuerKey *ecdsa.PrivateKey
	make := func(name string) (cert, key string) {
		t.Helper()
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			BasicConstraintsValid: true, IsCA: issuer == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
		by, byKey := issuer, issuerKey
		if by == nil {
			by, byKey, issuer, issuerKey = c, k, c, k
		}
		der, err := x509.CreateCertificate(rand.Reader, c, by, k.Public(), byKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return write(name+".pem", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", secret)
	}
	p.ca, _ = make("authority")
	p.server, p.serverKey = make("member")
	p.client, p.clientKey = make("node")
	return p
}

// guarded runs three members that want certificates and a user. flags are how kagimori gets in.
func guarded(t *testing.T) (c *etcdtest.Cluster, flags []string) {
	t.Helper()
	p := newPapers(t)
	c, err := etcdtest.StartWith(t.TempDir(), 3, func(cfg *embed.Config) {
		cfg.ListenClientUrls[0].Scheme, cfg.AdvertiseClientUrls[0].Scheme = "https", "https"
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = p.server, p.serverKey
		cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = p.ca, true
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	pair, err := tls.LoadX509KeyPair(p.client, p.clientKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	admin, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := etcdtest.RequireUsers(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, []string{
		"--store", "etcd://" + strings.Join(c.Endpoints(), ",") + "/kagimori",
		"--store-ca", p.ca, "--store-cert", p.client, "--store-key", p.clientKey, "--store-user", "kagimori", "--store-password-file", password,
	}
}

// A serving is a server on the loopback.
type serving struct {
	*process
	kms *client.Client
}

func serve(t testing.TB, binary, dir string, flags ...string) *serving {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	p, err := start(exec.Command(binary, append([]string{"serve", "--dev", "--listen", address, "--data", dir}, flags...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	s := &serving{process: p}
	if s.kms, err = client.New("http://"+address, region, sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: "test"}, kmsapi.Service()); err != nil {
		t.Fatal(err)
	}
	s.kms.HTTP = &http.Client{Timeout: 20 * time.Second}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + "/_kagimori/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not become healthy: %s", p.log.tail(2000))
		}
	}
}

// make has a key with a grant and a policy made, and something encrypted under it.
func (s *serving) make(ctx context.Context) (secret []byte, err error) {
	var key kmsapi.CreateKeyResponse
	if err := s.kms.Do(ctx, "CreateKey", &kmsapi.CreateKeyRequest{Policy: new(policyOf(firstPolicy))}, &key); err != nil {
		return nil, err
	}
	id := key.KeyMetadata.KeyId
	if err := s.kms.Do(ctx, "CreateGrant", &kmsapi.CreateGrantRequest{KeyId: id, GranteePrincipal: new(root), Operations: []string{"Decrypt"}}, nil); err != nil {
		return nil, err
	}
	var out kmsapi.EncryptResponse
	err = s.kms.Do(ctx, "Encrypt", &kmsapi.EncryptRequest{KeyId: id, Plaintext: []byte("secret")}, &out)
	return out.CiphertextBlob, err
}

func (s *serving) opens(ctx context.Context, secret []byte) error {
	var out kmsapi.DecryptResponse
	err := s.kms.Do(ctx, "Decrypt", &kmsapi.DecryptRequest{CiphertextBlob: secret}, &out)
	if err == nil && string(out.Plaintext) != "secret" {
		err = errors.New("a ciphertext opens to something else")
	}
	return err
}

// content is all of a store in a file, by bucket and key.
func content(t *testing.T, file string) map[string]string {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = s.Each(t.Context(), func(bucket, key string, data []byte) error {
		if bucket == "ec2/heir" { // each move says anew whose the volumes of the directory are; TestStoreMoves sees that they are
			return nil
		}
		out[bucket+"\x00"+key] = string(data)
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}

// same compares the stores and seals of two directories.
func same(t *testing.T, dirA, suffixA, dirB, suffixB string) {
	t.Helper()
	a, b := content(t, filepath.Join(dirA, "store.db"+suffixA)), content(t, filepath.Join(dirB, "store.db"+suffixB))
	if len(a) < 10 {
		t.Errorf("only %d records", len(a))
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			t.Errorf("%q: %q became %q (there: %v)", k, v, w, ok)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			t.Errorf("%q came from nowhere", k)
		}
	}
	sealA, errA := os.ReadFile(filepath.Join(dirA, "seal.json"+suffixA))
	sealB, errB := os.ReadFile(filepath.Join(dirB, "seal.json"+suffixB))
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(sealA, sealB) {
		t.Errorf("the seal is another one (%v)", err)
	}
}

// A store moves into a cluster that wants certificates and a user, and back, and is the same. Served from there, it
// survives that each member is started again, which forget who signed in; its backup, made while it is written to,
// is restored in another cluster.
func TestMoves(t *testing.T) {
	binary, _ := programs(t)
	c, flags := guarded(t)
	ctx := t.Context()
	run := func(want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(ctx, binary, append([]string{"store"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("kagimori store %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	dir := filepath.Join(t.TempDir(), "data")
	alone := serve(t, binary, dir)
	var secrets [][]byte
	for range 20 {
		secret, err := alone.make(ctx)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	alone.end()

	run("records were copied", append([]string{"migrate", "--data", dir, "--seal", "plain-file"}, flags...)...)
	run("nothing is damaged", append([]string{"check"}, flags...)...)
	back := filepath.Join(t.TempDir(), "back")
	run("records were copied", append([]string{"migrate", "--back", "--data", back}, flags...)...)
	same(t, dir, ".moved", back, "")

	for _, missing := range []int{2, 8} { // without TLS, without a user
		if out, err := exec.CommandContext(ctx, binary, append([]string{"store", "check"}, flags[:missing]...)...).CombinedOutput(); err == nil {
			t.Errorf("the cluster lets kagimori in with %v:\n%s", flags[:missing], out)
		}
	}

	nodes := []*serving{serve(t, binary, dir, flags...), serve(t, binary, filepath.Join(t.TempDir(), "second"), flags...)}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	made := make([]int, len(nodes))
	for i, n := range nodes {
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := n.make(ctx); err == nil {
					made[i]++
				}
			}
		})
	}
	for i := range 3 {
		c.StopMember(i)
		if err := c.StartMember(i); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	run("", "backup", "--data", dir, copied)
	close(stop)
	writing.Wait()
	for i, n := range nodes {
		secret, err := n.make(ctx)
		if err != nil {
			t.Errorf("node %d, after members were started again: %v", i, err)
		}
		if secret != nil && nodes[1-i].opens(ctx, secret) != nil {
			time.Sleep(Bound)
			if err := nodes[1-i].opens(ctx, secret); err != nil {
				t.Errorf("a ciphertext of node %d on the other one: %v", i, err)
			}
		}
		t.Logf("node %d made %d keys meanwhile", i, made[i])
		if made[i] == 0 {
			t.Errorf("node %d made nothing", i)
		}
	}

	other, err := etcdtest.Start(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	restored := filepath.Join(t.TempDir(), "restored")
	run("restored into", "restore", "--data", restored, "--seal", "plain-file", copied)
	elsewhere := fmt.Sprintf("etcd://%s/elsewhere", strings.Join(other.Endpoints(), ","))
	run("records were copied", "migrate", "--data", restored, "--seal", "plain-file", "--store", elsewhere)
	again := filepath.Join(t.TempDir(), "again")
	run("records were copied", "migrate", "--back", "--data", again, "--store", elsewhere)
	same(t, restored, ".moved", again, "")
	moved := serve(t, binary, restored, "--store", elsewhere)
	for i, secret := range secrets {
		if err := moved.opens(ctx, secret); err != nil {
			t.Errorf("ciphertext %d elsewhere: %v", i, err)
		}
	}
}
