// Package systemd_test installs kagimori as docs/operations.md says on a machine that has systemd, uses it, kills
// it and stops it. The machine is made of namespaces, for which the test has to be root. make systemd runs it.
package systemd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Clean()
	os.Exit(code)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// instructions are the shell block under the title "Installing" of docs/operations.md.
func instructions(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	m := regexp.MustCompile("(?s)\n## Installing\n.*?\n```sh\n(.*?)\n```\n").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/operations.md has no instructions")
	}
	return string(m[1])
}

// certify writes a certificate for the machine and its key.
func certify(t *testing.T, folder string, serial int64) (pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "tls.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool = x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool.AddCert(cert)
	return pool
}

// sources is a folder with what the instructions take: the program, deploy and a certificate.
func sources(t *testing.T) (folder string, pool *x509.CertPool) {
	t.Helper()
	folder = t.TempDir()
	program, err := server.Binary()
	must(t, err)
	must(t, os.Mkdir(filepath.Join(folder, "bin"), 0o755))
	for from, to := range map[string]string{program: "bin/kagimori", "../../deploy": "deploy"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-r", from, filepath.Join(folder, to)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return folder, certify(t, folder, 1)
}

// client is one of the root user of the machine's server.
func client(t *testing.T, m *machine, pool *x509.CertPool) aws.Config {
	t.Helper()
	file := m.run("", "cat", "/var/lib/kagimori/root-credentials")
	pair := regexp.MustCompile(`(?m)^aws_access_key_id = (\S+)\naws_secret_access_key = (\S+)$`).FindStringSubmatch(file)
	if pair == nil {
		t.Fatal("no credentials in the file")
	}
	return aws.Config{
		Region: seed.Region, BaseEndpoint: new("https://127.0.0.1"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: pair[1], SecretAccessKey: pair[2]}, nil
		}),
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: m.dial, TLSClientConfig: &tls.Config{RootCAs: pool}}},
	}
}

func (m *machine) ready() {
	m.t.Helper()
	web := &http.Client{Transport: &http.Transport{DialContext: m.dial, DisableKeepAlives: true}}
	m.wait("/ready", func() error {
		req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, "http://127.0.0.1:9464/ready", nil)
		if err != nil {
			return err
		}
		resp, err := web.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", resp.Status, body)
		}
		return nil
	})
}

// The unit lets the program do all that it has to, and nothing else.
func TestUnit(t *testing.T) {
	folder, pool := sources(t)
	m := boot(t, folder)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := exec.Command("nsenter", "--target", m.pid, "--mount", "--pid", "--root", "--", "journalctl", "--no-pager", "--unit=kagimori").CombinedOutput()
			t.Logf("%s", log)
		}
	})
	m.run(instructions(t), "sh", "-e")
	m.ready()
	cfg := client(t, m, pool)
	keys, disks := kms.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	must(t, err)
	if want := "arn:aws:iam::" + *who.Account + ":root"; *who.Arn != want {
		t.Errorf("the caller is %s, want %s", *who.Arn, want)
	}
	key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	secret, err := keys.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("hello")})
	must(t, err)
	vol, err := disks.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: key.KeyMetadata.KeyId})
	must(t, err)

	pid := func() string { return m.run("", "systemctl", "show", "--property=MainPID", "--value", "kagimori") }
	first := pid()
	status := m.run("", "cat", "/proc/"+first+"/status", "/proc/"+first+"/limits")
	for _, want := range []string{
		`(?m)^NoNewPrivs:\t1$`, `(?m)^Seccomp:\t2$`, `(?m)^CapEff:\t0000000000000400$`, `(?m)^VmLck:\t +[1-9]\d* kB$`, `(?m)^Max core file size +0 +0 +bytes`,
		`(?m)^Uid:\t[1-9]\d*\t`,
	} {
		if !regexp.MustCompile(want).MatchString(status) {
			t.Errorf("the process does not have %s:\n%s", want, status)
		}
	}
	if mode := m.run("", "stat", "--format=%a %U", "/var/lib/kagimori"); mode != "700 kagimori" {
		t.Errorf("the data directory is %s", mode)
	}

	// A new certificate comes with a reload.
	pool = certify(t, folder, 2)
	for _, name := range []string{"tls.pem", "tls.key"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		must(t, err)
		m.run(string(data), "install", "-m", "640", "-g", "kagimori", "/dev/stdin", "/etc/kagimori/"+name)
	}
	m.run("", "systemctl", "reload", "kagimori")
	m.wait("the new certificate", func() error {
		raw, err := m.dial(t.Context(), "tcp", "127.0.0.1:443")
		if err != nil {
			return err
		}
		defer raw.Close()
		return tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}).HandshakeContext(t.Context())
	})
	if now := pid(); now != first {
		t.Errorf("the process was %s and is %s after a reload", first, now)
	}

	// It comes back after a kill, with everything.
	m.run("", "kill", "-9", first)
	m.wait("another process", func() error {
		if now := pid(); now == first || now == "0" {
			return fmt.Errorf("process %s", now)
		}
		return nil
	})
	m.ready()
	cfg = client(t, m, pool)
	keys, disks = kms.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
	open, err := keys.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: secret.CiphertextBlob})
	must(t, err)
	if string(open.Plaintext) != "hello" {
		t.Errorf("decrypted %q", open.Plaintext)
	}

	// It stops in order, and starts again.
	m.run("", "systemctl", "stop", "kagimori")
	if result := m.run("", "systemctl", "show", "--property=Result", "--value", "kagimori"); result != "success" {
		t.Errorf("stopped with %s", result)
	}
	m.run("", "systemctl", "start", "kagimori")
	m.ready()
	list, err := disks.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*vol.VolumeId}})
	must(t, err)
	if v := list.Volumes[0]; v.State != "available" || !strings.HasSuffix(*v.KmsKeyId, *key.KeyMetadata.KeyId) {
		t.Errorf("the volume is %s, under %s", v.State, *v.KmsKeyId)
	}
	if log := m.run("", "journalctl", "--no-pager", "--unit=kagimori"); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("the log complains:\n%s", log)
	}
}
