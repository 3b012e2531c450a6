package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kagimori/kagimori/internal/scenario/format"
)

func TestMain(m *testing.M) {
	if os.Getenv("KAGIMORI_TEST_MAIN") != "" { // the program under another name
		main()
	}
	testscript.Main(m, map[string]func(){"kagimori": main, "nomlock": noMlock})
}

// The scripts run the real command. Beside testscript's own commands they have:
//
//	code N PROGRAM ARG...  run a program that must end with exit code N
//	listen NAME            listen on a free port; $NAME is its address
//	freeport NAME          $NAME is an address that nobody listens on
//	await ADDRESS [FILE]   wait until a server there is healthy; FILE is its certificate
//	post ADDRESS PATH [HEADER: VALUE]   POST nothing; the answer's status and body are stdout
//	remember DIR           note the names, modes and contents below a folder
//	untouched DIR          fail if they changed
//	certificate CERT KEY   write a certificate for 127.0.0.1
//	mode FILE PERM         fail if a file has another mode
//	capture NAME REGEXP GLOB   $NAME is the first group of the first match in the files, which come to be there
//
//	patched IN OUT [OP PATH VALUE]...   apply a JSON Patch to a launch scenario; VALUE is JSON, - for none, or @FILE
//	pad FILE BYTES         append white space until a file has so many bytes
//	policyof SCENARIO KEY OUT   write the policy of a scenario's key, by its place
//
//	appended BEFORE AFTER  fail if AFTER is not BEFORE with something put in at one place
//	replace OLD NEW FILE   replace a text in a file, once
//	nomlock PROGRAM ARG...  (for exec and code) run a program that may lock no memory
//
// $PLANS is the folder with plans that Terraform made, $SCENARIOS that with launch scenarios,
// $TEMPLATES that with templates of CloudFormation.
func TestScripts(t *testing.T) {
	plans, err := filepath.Abs("../../internal/tfplan/testdata")
	if err != nil {
		t.Fatal(err)
	}
	scenarios, err := filepath.Abs("../../internal/launch/testdata/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Abs("../../internal/cfn/testdata")
	if err != nil {
		t.Fatal(err)
	}
	remembered := map[string]string{} // of the scripts together: their folders differ
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"HOME", "TMPDIR"} {
				e.Setenv(name, filepath.Join(e.WorkDir, "home"))
			}
			e.Setenv("PLANS", plans)
			e.Setenv("SCENARIOS", scenarios)
			e.Setenv("TEMPLATES", templates)
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":        cmdCode,
			"listen":      cmdListen,
			"freeport":    cmdFreePort,
			"await":       cmdAwait,
			"post":        cmdPost,
			"certificate": cmdCertificate,
			"mode":        cmdMode,
			"capture":     cmdCapture,
			"appended":    cmdAppended,
			"replace":     cmdReplace,
			"patched":     cmdPatched,
			"policyof":    cmdPolicyOf,
			"pad": func(ts *testscript.TestScript, _ bool, args []string) {
				data := ts.ReadFile(args[0])
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data+strings.Repeat("\n", n-len(data))), 0o600))
			},
			"remember": func(ts *testscript.TestScript, _ bool, args []string) {
				remembered[ts.MkAbs(args[0])] = fingerprint(ts, args[0])
			},
			"untouched": func(ts *testscript.TestScript, _ bool, args []string) {
				if got, want := fingerprint(ts, args[0]), remembered[ts.MkAbs(args[0])]; want == "" || got != want {
					ts.Fatalf("%s was touched:\n%s\nbefore:\n%s", args[0], got, want)
				}
			},
		},
	})
}

func listenLocal(ts *testscript.TestScript) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	return l
}

func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func cmdListen(ts *testscript.TestScript, _ bool, args []string) {
	l := listenLocal(ts)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	for { // below what systems give to clients' connections, which come and go all the time
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+mathrand.IntN(20_000)))
		if err != nil {
			continue
		}
		ts.Setenv(args[0], l.Addr().String())
		ts.Check(l.Close())
		return
	}
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	scheme, client := "http", &http.Client{Timeout: 30 * time.Second}
	if len(args) == 2 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(args[1]))) {
			ts.Fatalf("no certificate in %s", args[1])
		}
		scheme, client.Transport = "https", &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		res, err := client.Get(scheme + "://" + args[0] + "/_kagimori/health")
		if err == nil {
			ts.Check(res.Body.Close())
			if res.StatusCode == http.StatusOK {
				return
			}
			err = fmt.Errorf("status %s", res.Status)
		}
		last = err
		<-time.After(20 * time.Millisecond) // another process: there is nothing to wait on
	}
	ts.Fatalf("no server at %s: %v", args[0], last)
}

func cmdPost(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodPost, "http://"+args[0]+args[1], nil)
	ts.Check(err)
	for _, h := range args[2:] {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	_, err = fmt.Fprintf(ts.Stdout(), "%d\n", res.StatusCode)
	ts.Check(err)
	ts.Check(res.Body.Close())
}

func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", fi.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		files, err := filepath.Glob(ts.MkAbs(args[2]))
		ts.Check(err)
		for _, f := range files {
			if m := re.FindStringSubmatch(ts.ReadFile(f)); m != nil {
				ts.Setenv(args[0], m[1])
				return
			}
		}
		<-time.After(20 * time.Millisecond) // another process writes them
	}
	ts.Fatalf("%s is not in %s", args[1], args[2])
}

func cmdPatched(ts *testscript.TestScript, _ bool, args []string) {
	sc, err := format.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	edits := []format.Edit{{Op: "replace", Path: "/expected", Value: format.Value("null")}}
	for e := range slices.Chunk(args[2:], 3) {
		value := e[2]
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(file)
		}
		edit := format.Edit{Op: e[0], Path: e[1]}
		if value != "-" {
			edit.Value = format.Value(value)
		}
		edits = append(edits, edit)
	}
	out, err := sc.Patched(edits)
	ts.Check(err)
	data, err := out.Encode()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

func cmdPolicyOf(ts *testscript.TestScript, _ bool, args []string) {
	sc, err := format.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	i, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), sc.Keys[i].Policy, 0o600))
}

func fingerprint(ts *testscript.TestScript, dir string) string {
	var out strings.Builder
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		sum := ""
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h := sha256.Sum256(data)
			sum = hex.EncodeToString(h[:])
		}
		_, err = fmt.Fprintf(&out, "%s %v %s\n", path, fi.Mode(), sum)
		return err
	}))
	return out.String()
}

func cmdAppended(ts *testscript.TestScript, _ bool, args []string) {
	before, after := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	same := 0
	for same < len(before) && same < len(after) && before[same] == after[same] {
		same++
	}
	if len(after) <= len(before) || !strings.HasSuffix(after, before[same:]) {
		ts.Fatalf("%s is not %s with something put in", args[1], args[0])
	}
}

func cmdReplace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[2])
	if strings.Count(text, args[0]) != 1 {
		ts.Fatalf("%s has %q %d times", args[2], args[0], strings.Count(text, args[0]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Replace(text, args[0], args[1], 1)), 0o644))
}

func cmdCertificate(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for i, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), pem.EncodeToMemory(b), 0o600))
	}
}
