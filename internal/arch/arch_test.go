// Package arch checks the shape of the tree: which package may import which, who may touch
// ciphers, and how large files may grow. It parses the sources itself, so nothing cached can
// hide a new import.
package arch_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kagimori/kagimori/"

// allowed maps each package (below the module) to the packages of this module that it may
// import. A package that is missing here fails the test. "api/*" stands for every package below
// internal/api.
var allowed = map[string][]string{
	// 0 leaves
	"internal/arn":                 {},
	"internal/apierr":              {},
	"internal/secret":              {},
	"internal/sieve":               {},
	"internal/recent":              {"internal/sieve"},
	"internal/api":                 {},
	"internal/api/*":               {"internal/api", "internal/secret"},
	"internal/clock":               {},
	"internal/rate":                {},
	"internal/actions":             {"internal/glob"},
	"internal/glob":                {},
	"internal/ascii":               {},
	"internal/linkedrole":          {},
	"internal/speech":              {},
	"internal/totp":                {},
	"internal/guard/internal/mint": {},
	"internal/guard/permit":        {"internal/guard/internal/mint"},
	"internal/guard/permittest":    {"internal/guard/internal/mint", "internal/guard/permit"},
	// 1 languages
	"internal/policy":         {"internal/arn", "internal/apierr"},
	"internal/policy/keyview": {"internal/policy", "internal/arn"},
	"internal/sigv4":          {"internal/secret", "internal/api"},
	"internal/envelope":       {"internal/arn"},
	"internal/saml":           {},
	"internal/saml/samltest":  {"internal/saml"},
	// 2 pure engine
	"internal/authz/condition": {"internal/policy", "internal/arn"},
	"internal/authz":           {"internal/policy", "internal/arn", "internal/authz/condition"},
	"internal/authz/literal":   {"internal/authz", "internal/policy", "internal/arn", "internal/authz/condition"}, // for tests: a second engine
	"internal/authz/amend":     {"internal/authz", "internal/actions", "internal/policy", "internal/arn", "internal/speech"},
	"internal/authz/explain":   {"internal/authz", "internal/authz/amend", "internal/jsonedit", "internal/policy", "internal/arn", "internal/speech"},
	"internal/casefile":        {"internal/authz", "internal/authz/explain", "internal/policy", "internal/arn", "internal/speech"},
	"internal/launch":          {"internal/authz", "internal/policy", "internal/arn"},
	"internal/ask":             {"internal/authz", "internal/policy", "internal/arn"},
	"internal/ask/compare":     {"internal/ask", "internal/actions", "internal/authz", "internal/policy", "internal/arn"},
	"internal/keyrule":         {"internal/apierr", "internal/arn", "internal/authz", "internal/policy"},
	"internal/doctor":          {"internal/policy", "internal/authz", "internal/authz/amend", "internal/authz/condition", "internal/authz/explain", "internal/launch", "internal/impact", "internal/ask", "internal/keyrule", "internal/lint", "internal/actions", "internal/linkedrole", "internal/arn", "internal/apierr", "internal/scenario/format", "internal/speech"},
	"internal/impact":          {"internal/apierr", "internal/arn", "internal/authz", "internal/authz/explain", "internal/keyrule", "internal/launch", "internal/policy", "internal/speech"},
	"internal/incident":        {"internal/doctor", "internal/authz/explain", "internal/keyrule", "internal/arn", "internal/scenario/format", "internal/speech"},
	"internal/lint":            {"internal/actions", "internal/linkedrole", "internal/launch", "internal/authz", "internal/authz/condition", "internal/policy", "internal/arn", "internal/apierr", "internal/speech"},
	"internal/jsonedit":        {},
	"internal/remedy":          {"internal/arn", "internal/jsonedit", "internal/scenario/format", "internal/speech"},
	"internal/suite":           {"internal/casefile", "internal/doctor", "internal/scenario/format", "internal/speech"},
	"internal/report":          {"internal/glob", "internal/suite", "internal/doctor", "internal/jsonedit", "internal/launch", "internal/remedy", "internal/scenario/format", "internal/speech"},
	// 3 mechanisms
	"internal/store":                        {"internal/recent"},
	"internal/store/bolt":                   {"internal/store"},
	"internal/store/memory":                 {"internal/store"},
	"internal/store/etcd":                   {"internal/store"}, // its tests are the module e2e/etcdtest
	"internal/store/late":                   {"internal/store"},
	"internal/store/storetest":              {"internal/store"},
	"internal/hsm":                          {"internal/secret", "internal/envelope", "internal/guard/permit"},
	"internal/hsm/soft":                     {"internal/hsm", "internal/secret", "internal/guard/permit", "internal/recent"},
	"internal/hsm/hsmtest":                  {"internal/hsm", "internal/hsm/soft", "internal/secret", "internal/guard/permit", "internal/guard/permittest"},
	"internal/blockdev/crypt":               {"internal/secret"},
	"internal/objects":                      {},
	"internal/objects/s3":                   {"internal/objects", "internal/outbound", "internal/secret"},
	"internal/blockdev":                     {"internal/secret", "internal/blockdev/crypt", "internal/objects"},
	"internal/blockdev/image":               {"internal/blockdev"},
	"internal/blockdev/nbd":                 {"internal/blockdev"},
	"internal/machine":                      {},
	"internal/machine/qemu":                 {"internal/machine"},
	"internal/trail":                        {"internal/ascii", "internal/arn", "internal/store", "internal/secret"},
	"internal/trail/sink":                   {"internal/trail", "internal/outbound", "internal/secret"},
	"internal/directory/managed":            {},
	"internal/directory/managed/managedgen": {"internal/directory/managed"},
	"internal/directory": {
		"internal/arn", "internal/authz", "internal/policy", "internal/store", "internal/secret", "internal/directory/managed",
	},
	"internal/outbound":              {},
	"internal/objects/objectstest":   {"internal/objects"},
	"internal/kms/attest":            {},
	"internal/kms/attest/attesttest": {"internal/kms/attest"},
	"internal/xks":                   {"internal/outbound", "internal/secret", "internal/sigv4"},
	// 4 border
	"internal/guard": {
		"internal/ascii", "internal/authz", "internal/authz/explain", "internal/trail", "internal/apierr", "internal/arn", "internal/store",
		"internal/directory", "internal/guard/permit", "internal/guard/internal/mint", "internal/policy", "internal/actions",
	},
	"internal/guard/guardtest": {
		"internal/api", "internal/apierr", "internal/clock", "internal/directory", "internal/guard", "internal/hsm", "internal/hsm/hsmtest",
		"internal/store", "internal/store/memory", "internal/trail", "internal/wire",
	},
	// 5 services: no arrows inside this row
	"internal/kms":               service("internal/keyrule", "internal/api/kmsapi", "internal/hsm", "internal/envelope", "internal/policy", "internal/guard/permit", "internal/xks", "internal/kms/attest"),
	"internal/iam":               service("internal/totp", "internal/saml", "internal/actions", "internal/api/iamapi", "internal/policy", "internal/directory/managed", "internal/linkedrole"),
	"internal/sts":               service("internal/api/stsapi", "internal/policy", "internal/actions", "internal/saml", "internal/sts/webidentity", "internal/sts/webtoken"),
	"internal/org":               service("internal/api/organizationsapi", "internal/policy"),
	"internal/ec2":               service("internal/api/ec2api", "internal/api/iamapi", "internal/api/kagimoriapi", "internal/blockdev/nbd", "internal/api/kmsapi", "internal/launch", "internal/machine", "internal/blockdev", "internal/blockdev/image", "internal/ec2/allowedimages", "internal/ec2/block", "internal/ec2/capacity", "internal/ec2/eventwindow", "internal/ec2/hardware", "internal/ec2/idiom", "internal/ec2/instancetype", "internal/ec2/hosts", "internal/ec2/keypairs", "internal/ec2/locks", "internal/ec2/peering", "internal/ec2/placement", "internal/ec2/prefixlist", "internal/ec2/reserve", "internal/ec2/template", "internal/ec2/vpc", "internal/ec2/zone"),
	"internal/ec2/idiom":         service("internal/api/ec2api"),                                                                     // how all operations of EC2 are asked
	"internal/ec2/capacity":      service("internal/api/ec2api", "internal/ec2/hardware", "internal/ec2/idiom", "internal/ec2/zone"), // records of package ec2, which tells it of its instances
	"internal/ec2/vpc":           service("internal/api/ec2api", "internal/ec2/idiom", "internal/ec2/prefixlist"),                    // records of package ec2, which gives it what it knows of networks
	"internal/ec2/block":         service("internal/api/ec2api", "internal/ec2/idiom"),                                               // no record of its own
	"internal/ec2/zone":          service("internal/api/ec2api", "internal/ec2/idiom"),
	"internal/ec2/instancetype":  service("internal/api/ec2api", "internal/ec2/hardware", "internal/ec2/idiom", "internal/ec2/zone", "internal/launch"),
	"internal/ec2/template":      service("internal/api/ec2api", "internal/ec2/idiom", "internal/ec2/instancetype"),
	"internal/ec2/keypairs":      service("internal/api/ec2api", "internal/ec2/idiom", "internal/ec2/keypair"),
	"internal/ec2/placement":     service("internal/api/ec2api", "internal/ec2/idiom"),
	"internal/ec2/peering":       service("internal/api/ec2api", "internal/ec2/idiom"), // records between two accounts; package ec2 tells it of VPCs
	"internal/ec2/prefixlist":    service("internal/api/ec2api", "internal/ec2/idiom"),
	"internal/ec2/eventwindow":   service("internal/api/ec2api", "internal/ec2/idiom"),
	"internal/ec2/allowedimages": service("internal/api/ec2api", "internal/ec2/idiom", "internal/glob"),
	"internal/ec2/reserve":       service("internal/api/ec2api", "internal/ec2/idiom"),
	"internal/ec2/locks":         {},
	"internal/ec2/hosts":         {"internal/blockdev", "internal/blockdev/image", "internal/blockdev/nbd", "internal/ec2/locks", "internal/machine", "internal/secret", "internal/store"}, // no request of EC2
	"internal/ec2/ec2test":       {"internal/api/ec2api", "internal/guard", "internal/guard/guardtest", "internal/store"},
	"internal/ebs":               service("internal/api/ebsapi", "internal/api/kmsapi", "internal/blockdev", "internal/blockdev/image"),
	"internal/ec2/hardware":      {}, // the table of instance types
	"internal/ec2/keypair":       {"internal/secret"},
	"internal/autoscaling":       service("internal/api/autoscalingapi", "internal/api/ec2api", "internal/api/iamapi", "internal/api/kagimoriapi", "internal/launch"),
	"internal/cloudtrail":        service("internal/api/cloudtrailapi"),
	"internal/accessanalyzer":    service("internal/api/accessanalyzerapi", "internal/lint", "internal/policy", "internal/actions", "internal/speech"),
	"internal/kagimori":          service("internal/actions", "internal/api/kagimoriapi", "internal/authz/explain", "internal/ask", "internal/impact", "internal/jsonedit", "internal/keyrule", "internal/launch", "internal/policy", "internal/speech"),
	"internal/desk":              service("internal/api/kagimoriapi", "internal/ask/compare", "internal/cfn", "internal/doctor", "internal/policy", "internal/policy/keyview", "internal/remedy", "internal/report", "internal/scenario/format", "internal/speech", "internal/tfplan"), // pure questions about documents of the caller
	"internal/xksproxy":          service("internal/api/kagimoriapi", "internal/api/kmsapi", "internal/hsm", "internal/sigv4", "internal/xks"),

	// mechanisms of one service
	"internal/sts/webidentity":            {"internal/outbound"},
	"internal/sts/webtoken":               {}, // signs what others verify: keys of the server's own, sealed at rest
	"internal/sts/webidentity/issuertest": {"internal/outbound"},

	// 6 edge
	"internal/wire":          {"internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/b64":      {},
	"internal/wire/jsonbody": {"internal/ascii", "internal/wire", "internal/wire/b64", "internal/apierr"},
	"internal/wire/awsjson":  {"internal/wire", "internal/wire/jsonbody", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/restjson": {"internal/wire", "internal/wire/jsonbody", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/form":     {"internal/wire", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/xmltext":  {"internal/wire", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/awsquery": {"internal/wire", "internal/wire/form", "internal/wire/xmltext", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/ec2query": {"internal/wire", "internal/wire/awsquery", "internal/wire/form", "internal/wire/xmltext", "internal/api", "internal/apierr", "internal/secret"},
	"internal/wire/client":   {"internal/wire", "internal/wire/awsjson", "internal/wire/awsquery", "internal/wire/ec2query", "internal/wire/restjson", "internal/api", "internal/apierr", "internal/secret", "internal/sigv4"},
	"internal/gateway": {
		"internal/wire", "internal/wire/awsjson", "internal/wire/awsquery", "internal/wire/ec2query", "internal/wire/restjson", "internal/wire/form",
		"internal/api", "internal/apierr", "internal/secret", "internal/sigv4", "internal/guard", "internal/directory",
	},
	"internal/lane":            {"internal/ascii"}, // HTTP/1.1 connections
	"internal/telemetry":       {"internal/gateway", "internal/outbound"},
	"internal/console":         {}, // files, and no part in any decision
	"internal/tour":            {"internal/wire/client", "internal/sigv4", "internal/api/*", "internal/api", "internal/apierr", "internal/arn", "internal/secret"},
	"internal/scenario/format": {"internal/arn"},
	"internal/cfn":             {"internal/tfplan", "internal/arn"}, // a template is said in the words of a plan
	"internal/tfsource":        {},                                  // Terraform's own files: expressions
	"internal/tfplan":          {"internal/tfsource", "internal/scenario/format", "internal/policy", "internal/arn", "internal/linkedrole", "internal/directory/managed"},
	"internal/live":            {"internal/scenario/format", "internal/launch", "internal/keyrule", "internal/wire/client", "internal/sigv4", "internal/api/*", "internal/api", "internal/apierr", "internal/arn"},
	"internal/live/awsconfig":  {"internal/live", "internal/arn", "internal/secret", "internal/sigv4"},
	"internal/scenario":        {"internal/scenario/format", "internal/launch", "internal/wire/client", "internal/sigv4", "internal/api/*", "internal/api", "internal/apierr", "internal/arn", "internal/secret"},
	// 7 assembly
	"internal/unseal":  {"internal/hsm/soft", "internal/hsm", "internal/secret", "internal/sigv4", "internal/arn", "internal/apierr", "internal/api/kmsapi", "internal/wire/client"},
	"internal/app":     {"*"},
	"internal/testkit": {"*"},
	"kagimoritest":     {"internal/app", "internal/directory", "internal/authz", "internal/authz/explain", "internal/guard", "internal/trail"},
	// 8 command
	"cmd/kagimori":    {"internal/app", "internal/lane", "internal/trail", "internal/trail/sink", "internal/rate", "internal/telemetry", "internal/objects/s3", "internal/secret", "internal/impact", "internal/kagimori", "internal/kms/attest", "internal/unseal", "internal/suite", "internal/outbound", "internal/report", "internal/remedy", "internal/jsonedit", "internal/speech", "internal/doctor", "internal/incident", "internal/live", "internal/live/awsconfig", "internal/tfplan", "internal/cfn", "internal/scenario/format", "internal/lint", "internal/policy", "internal/policy/keyview", "internal/ask/compare", "internal/arn", "internal/tour", "internal/casefile", "internal/scenario", "internal/hsm/soft", "internal/hsm", "internal/store", "internal/api", "internal/api/kagimoriapi", "internal/apierr", "internal/secret", "internal/sigv4", "internal/wire/client", "internal/authz/explain"},
	"internal/apigen": {},
	"internal/arch":   {},
	"internal/bench":  {"*"},

	"internal/hostile": {}, // tests alone
}

func service(more ...string) []string {
	return append([]string{
		"internal/api", "internal/apierr", "internal/arn", "internal/authz", "internal/clock", "internal/directory",
		"internal/guard", "internal/secret", "internal/store", "internal/trail",
	}, more...)
}

// ciphers are the packages for encryption, signatures and message authentication, and who may
// import them. Hashes and random numbers are free.
var ciphers = []string{
	"crypto/aes", "crypto/cipher", "crypto/hmac", "crypto/hkdf", "crypto/rsa", "crypto/ecdsa", "crypto/ecdh", "crypto/ed25519",
	"crypto/des", "crypto/rc4", "crypto/pbkdf2", "crypto/mlkem", "golang.org/x/crypto", "filippo.io/age",
	"filippo.io/mldsa", "github.com/decred/dcrd", "github.com/emmansun/gmsm", "github.com/cloudflare/circl",
}

var cipherUsers = []string{
	"internal/hsm/soft", "internal/hsm/hsmtest", "internal/envelope", "internal/blockdev/crypt", "internal/sigv4", "internal/totp", "internal/kms/attest", "internal/kms/attest/attesttest",
	"internal/ec2/keypair",
	"internal/sts/webtoken",
	"internal/trail/sink",                                                                       // signs requests to webhooks, with keys of their own
	"internal/saml/samltest", "internal/sts/webidentity", "internal/sts/webidentity/issuertest", // verifies what others signed, with public keys
}

type source struct {
	pkg, path string
	test      bool
	imports   []string
	lines     int
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "e2e" || rel == "bench" || rel == "tools" || rel == "pkcs11" || rel == "console" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, data, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{
			pkg: filepath.ToSlash(filepath.Dir(rel)), path: filepath.ToSlash(rel),
			test: strings.HasSuffix(path, "_test.go"), lines: strings.Count(string(data), "\n"),
		}
		for _, im := range f.Imports {
			s.imports = append(s.imports, strings.Trim(im.Path.Value, `"`))
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("found only %d Go files: the walk is broken", len(out))
	}
	return out
}

func rule(pkg string) ([]string, bool) {
	if r, ok := allowed[pkg]; ok {
		return r, true
	}
	if strings.HasPrefix(pkg, "internal/api/") {
		return allowed["internal/api/*"], true
	}
	return nil, false
}

func permits(rules []string, imported string) bool {
	return slices.ContainsFunc(rules, func(r string) bool {
		return r == "*" || r == imported || (r == "internal/api/*" && strings.HasPrefix(imported, "internal/api/"))
	})
}

func TestImportDirections(t *testing.T) {
	for _, s := range sources(t) {
		rules, known := rule(s.pkg)
		if !known {
			t.Errorf("%s: package %s is not in the map of allowed imports", s.path, s.pkg)
			continue
		}
		if s.test {
			continue
		}
		for _, im := range s.imports {
			in, ours := strings.CutPrefix(im, module)
			if ours && !permits(rules, in) {
				t.Errorf("%s may not import %s", s.path, in)
			}
		}
	}
}

func TestTestHelpersStayInTests(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg == "internal/hsm/hsmtest" || s.pkg == "internal/guard/guardtest" || s.pkg == "internal/ec2/ec2test" || s.pkg == "internal/kms/attest/attesttest" || s.pkg == "internal/testkit" || s.pkg == "kagimoritest" || s.pkg == "internal/bench" {
			continue
		}
		for _, im := range s.imports {
			if strings.HasSuffix(im, "test") && strings.HasPrefix(im, module) && im != module+"internal/kms/attest" || im == "testing" && !strings.HasSuffix(s.pkg, "test") {
				t.Errorf("%s imports the test helper %s", s.path, im)
			}
		}
	}
}

func TestCiphersStayInTheirPackages(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || slices.Contains(cipherUsers, s.pkg) {
			continue
		}
		for _, im := range s.imports {
			for _, c := range ciphers {
				if im == c || strings.HasPrefix(im, c+"/") {
					t.Errorf("%s imports %s; only %v may", s.path, im, cipherUsers)
				}
			}
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_gen.go") {
			continue
		}
		if s.lines > 800 {
			t.Errorf("%s has %d lines; 800 is the limit", s.path, s.lines)
		}
	}
}
