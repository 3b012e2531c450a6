// Package image_test builds the image of deploy/Dockerfile and runs it. There is no engine and no registry in it: buildah
// builds in a chroot, on two stand-ins for the base images that have of them what the Dockerfile needs, and crun runs
// what came of it. make image-check runs it, as root.
package image_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const repository = "../.."

type imageConfig struct {
	User, WorkingDir     string
	Env, Entrypoint, Cmd []string
	ExposedPorts         map[string]struct{}
	Volumes              map[string]struct{}
}

// build makes the image of the folder; root is where its files are, base are those that it began with.
func build(t *testing.T) (root string, config imageConfig, base map[string]string) {
	t.Helper()
	e := engine{t, t.TempDir()}
	authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	must(t, err)
	shell, err := os.ReadFile("/bin/busybox")
	must(t, err)
	const certs = "etc/ssl/certs/ca-certificates.crt"
	e.standIn("docker.io/library/golang:1.26",
		map[string]string{"bin/busybox": string(shell), "bin/sh": "-> busybox", "bin/mkdir": "-> busybox", certs: string(authorities), "tmp/": ""},
		"--env", "PATH=/usr/local/go/bin:/bin", "--env", "GOPATH=/go", "--env", "GOTOOLCHAIN=local", "--env", "GOPROXY=file:///proxy", "--env", "GOCACHE=/cache")
	base = map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
		"etc/group":  "root:x:0:\nnonroot:x:65532:\n", certs: string(authorities), "home/nonroot/": "", "tmp/": "",
	}
	e.standIn("gcr.io/distroless/static-debian12:nonroot", base, "--user", "65532", "--workingdir", "/home/nonroot",
		"--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--env", "SSL_CERT_FILE=/"+certs)
	run(t, "go", "-C", repository, "mod", "download")
	e.run("build", "--isolation", "chroot", "--pull-never", "--network", "host",
		"--volume", run(t, "go", "env", "GOROOT")+":/usr/local/go:ro", "--volume", run(t, "go", "env", "GOMODCACHE")+"/cache/download:/proxy:ro",
		"--volume", run(t, "go", "env", "GOCACHE")+":/cache",
		"--file", repository+"/deploy/Dockerfile", "--tag", "localhost/kagimori", repository)
	var about struct {
		OCIv1 struct{ Config imageConfig }
	}
	must(t, json.Unmarshal([]byte(e.run("inspect", "--type", "image", "localhost/kagimori")), &about))
	return e.run("mount", e.run("from", "--pull-never", "localhost/kagimori")), about.OCIv1.Config, base
}

// The image has the program, what it stands on, and nothing else.
func TestImage(t *testing.T) {
	root, config, base := build(t)
	if config.User != "65532:65532" || !slices.Equal(config.Entrypoint, []string{"/kagimori"}) || !slices.Equal(config.Cmd, []string{"serve", "--config", "/etc/kagimori/kagimori.yaml"}) ||
		len(config.ExposedPorts) != 1 || len(config.Volumes) != 1 || len(config.Env) != 2 {
		t.Errorf("the image says %+v", config)
	}
	files := map[string]bool{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[name] = true
		if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o022 != 0 || mode.Perm()&0o111 != 0 && name != "kagimori" {
			t.Errorf("%s is %v", name, mode)
		}
		return err
	}))
	want := map[string]bool{"kagimori": true}
	for name := range base {
		if !strings.HasSuffix(name, "/") {
			want[name] = true
		}
	}
	if !maps.Equal(files, want) {
		t.Errorf("the image has %v", slices.Sorted(maps.Keys(files)))
	}
	var data syscall.Stat_t
	if must(t, syscall.Stat(filepath.Join(root, "data"), &data)); data.Uid != 65532 || data.Gid != 65532 {
		t.Errorf("/data belongs to %d:%d", data.Uid, data.Gid)
	}
	// Whoever builds the program by the instructions gets the same.
	again := filepath.Join(t.TempDir(), "kagimori")
	cmd := exec.CommandContext(t.Context(), "go", "-C", repository, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", again, "./cmd/kagimori")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var sums [2][32]byte
	for i, path := range []string{again, filepath.Join(root, "kagimori")} {
		program, err := os.ReadFile(path)
		must(t, err)
		sums[i] = sha256.Sum256(program)
	}
	if sums[0] != sums[1] {
		t.Errorf("the program in the image is %x, another build %x", sums[1], sums[0])
	}
	t.Run("without settings", func(t *testing.T) {
		c := start(t, root, config)
		err := <-c.exited
		if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() < 1 || !strings.Contains(c.said(), "/etc/kagimori/kagimori.yaml") || strings.Contains(c.said(), "goroutine ") {
			t.Errorf("it ends with %v and says %s", err, c.said())
		}
	})
	t.Run("serves", func(t *testing.T) { serves(t, root, config) })
}

// certify writes a certificate and its key.
func certify(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	secret(t, folder, "tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	secret(t, folder, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// secret writes a file as Kubernetes shows those of a secret: to the group of the program.
func secret(t *testing.T, folder, name string, content []byte) {
	t.Helper()
	path := filepath.Join(folder, name)
	must(t, os.WriteFile(path, content, 0o440))
	must(t, os.Chown(path, 0, 65532))
	must(t, os.Chmod(folder, 0o755))
}

// port is one that nobody has.
func port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// settings are those of deploy/kubernetes/single.yaml, with other ports: the network is the machine's.
func settings(t *testing.T, folder, public, private string) {
	t.Helper()
	manifest, err := os.ReadFile(repository + "/deploy/kubernetes/single.yaml")
	must(t, err)
	m := regexp.MustCompile(`(?m)^  kagimori\.yaml: \|\n((?:    .*\n)+)`).FindSubmatch(manifest)
	if m == nil {
		t.Fatal("the manifest has no settings")
	}
	text := strings.NewReplacer("\n    ", "\n", ":4566", ":"+public, ":9464", ":"+private).Replace("\n" + string(m[1]))
	if !strings.Contains(text, public) || !strings.Contains(text, private) {
		t.Fatalf("the settings have other ports: %s", text)
	}
	must(t, os.WriteFile(filepath.Join(folder, "kagimori.yaml"), []byte(text), 0o644))
	must(t, os.Chmod(folder, 0o755))
}

// ready waits until the server says that it is.
func ready(t *testing.T, c *container, private string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		resp, err := http.Get("http://127.0.0.1:" + private + "/ready")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		select {
		case <-end:
			t.Fatalf("/ready: not within a minute: %v", err)
		case err := <-c.exited:
			t.Fatalf("it ended: %v", err)
		case <-tick.C:
		}
	}
}

// serves uses what runs in a container, stops it, kills it and has it start again on its volume.
func serves(t *testing.T, root string, config imageConfig) {
	volume, etc, seal, certificate := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	must(t, os.Chown(volume, 65532, 65532)) // as engines make a volume of /data
	secret(t, seal, "passphrase", []byte("three stones in the river\n"))
	pool, public, private := certify(t, certificate), port(t), port(t)
	settings(t, etc, public, private)
	again := func() *container {
		c := start(t, root, config, mount{volume, "/data", true}, mount{etc, "/etc/kagimori", false}, mount{seal, "/run/seal", false}, mount{certificate, "/run/tls", false})
		ready(t, c, private)
		return c
	}
	c := again()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid()))
	must(t, err)
	for _, want := range []string{`(?m)^NSpid:\t\d+\t1$`, `(?m)^Uid:\t65532\t`, `(?m)^Gid:\t65532\t`, `(?m)^NoNewPrivs:\t1$`, `(?m)^CapEff:\t0+$`, `(?m)^CapBnd:\t0+$`} {
		if !regexp.MustCompile(want).Match(status) {
			t.Errorf("the process does not have %s:\n%s", want, status)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.pid()))
	must(t, err)
	if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ / ro[, ]`).Match(mounts) {
		t.Errorf("the root is not read-only:\n%s", mounts)
	}

	file, err := os.ReadFile(filepath.Join(volume, "kagimori/root-credentials"))
	must(t, err)
	pair := regexp.MustCompile(`(?m)^aws_access_key_id = (\S+)\naws_secret_access_key = (\S+)$`).FindSubmatch(file)
	if pair == nil {
		t.Fatal("no credentials in the file")
	}
	cfg := aws.Config{
		Region: seed.Region, BaseEndpoint: new("https://127.0.0.1:" + public),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: string(pair[1]), SecretAccessKey: string(pair[2])}, nil
		}),
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
	}
	keys, disks := kms.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
	key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	hidden, err := keys.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("hello")})
	must(t, err)
	vol, err := disks.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: new(seed.Region + "a"), Size: new(int32(1)), Encrypted: new(true), KmsKeyId: key.KeyMetadata.KeyId})
	must(t, err)
	there := func() {
		t.Helper()
		plain, err := keys.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: hidden.CiphertextBlob})
		if must(t, err); string(plain.Plaintext) != "hello" {
			t.Errorf("the ciphertext is %q", plain.Plaintext)
		}
		_, err = disks.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{*vol.VolumeId}})
		must(t, err)
	}

	c.signal(syscall.SIGTERM) // as the first process of its namespace, which has no default for signals
	if err := <-c.exited; err != nil {
		t.Errorf("SIGTERM: it ended with %v", err)
	}
	c = again()
	there()
	c.signal(syscall.SIGKILL)
	if err := <-c.exited; err == nil {
		t.Error("it was killed and ended as if it were not")
	}
	c = again()
	there()
	c.signal(syscall.SIGTERM)
	if err := <-c.exited; err != nil {
		t.Errorf("SIGTERM: it ended with %v", err)
	}
}
