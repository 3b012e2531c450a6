package hostile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readers are what is read that somebody else made, and the fuzz target that it has: a folder of internal, or
// cmd, and a name. FuzzMembers puts texts into every member of every operation of a whole server, FuzzRaw
// whole requests.
var readers = []struct{ reads, folder, target string }{
	{"the Authorization header", "sigv4", "FuzzParseAuthorization"},
	{"presigned requests", "sigv4", "FuzzPresigned"},
	{"requests as they come: heads, chunks, signatures, session tokens, paths", "hostile", "FuzzRaw"},
	{"requests that are read without net/http", "lane", "FuzzSame"},
	{"requests that nodes pass on", "app", "FuzzForwarded"},
	{"awsJson bodies", "wire/awsjson", "FuzzDecode"},
	{"awsQuery bodies", "wire/awsquery", "FuzzDecode"},
	{"ec2Query bodies", "wire/ec2query", "FuzzDecode"},
	{"restJson requests", "wire/restjson", "FuzzDecode"},
	{"XML answers", "wire/xmltext", "FuzzParse"},
	{"policies", "policy", "FuzzParse"},
	{"policies that get statements", "policy", "FuzzAppendStatements"},
	{"key policies by form", "policy/keyview", "FuzzEdits"},
	{"condition values", "authz/condition", "FuzzValues"},
	{"condition patterns", "authz/condition", "FuzzPatterns"},
	{"whole decisions", "authz", "FuzzEnginesAgree"},
	{"ARNs", "arn", "FuzzParse"},
	{"filters, list tokens, markers, client tokens, user data, template data, public keys, certificates, messages", "hostile", "FuzzMembers"},
	{"block tokens", "ebs", "FuzzTokens"},
	{"ciphertexts", "envelope", "FuzzParse"},
	{"ciphertexts of external keys", "kms", "FuzzOuter"},
	{"encryption contexts", "envelope", "FuzzCanonicalContext"},
	{"grant tokens", "kms", "FuzzGrantToken"},
	{"import tokens", "kms", "FuzzImportToken"},
	{"public keys of requests", "hsm/soft", "FuzzParsePublic"},
	{"keyrings", "hsm/soft", "FuzzKeyring"},
	{"seal files", "hsm/soft", "FuzzSeal"},
	{"attestation documents", "kms/attest", "FuzzVerify"},
	{"key pairs", "ec2/keypair", "FuzzParse"},
	{"cron expressions of event windows", "ec2/eventwindow", "FuzzCron"},
	{"SAML responses", "saml", "FuzzResponse"},
	{"SAML metadata", "saml", "FuzzMetadata"},
	{"web tokens", "sts/webidentity", "FuzzParse"},
	{"sets of web keys", "sts/webidentity", "FuzzKeys"},
	{"NBD", "blockdev/nbd", "FuzzServer"},
	{"volume files", "blockdev", "FuzzHeader"},
	{"snapshot indexes", "blockdev", "FuzzIndex"},
	{"sectors", "blockdev/crypt", "FuzzAgainstOracle"},
	{"requests of the external key store protocol", "xks", "FuzzParseRequest"},
	{"templates of CloudFormation", "cfn", "FuzzRead"},
	{"plans of Terraform", "tfplan", "FuzzRead"},
	{"the files of Terraform beside a plan", "tfsource", "FuzzText"},
	{"scenarios", "scenario", "FuzzParse"},
	{"edits of JSON", "jsonedit", "FuzzApply"},
	{"cases", "casefile", "FuzzCases"},
	{"records of incidents", "incident", "FuzzRead"},
	{"baselines", "report", "FuzzBaseline"},
	{"policies that are linted", "lint", "FuzzCheck"},
	{"cron expressions", "autoscaling", "FuzzRecurrence"},
	{"tables of instance types", "ec2/hardware", "FuzzParse"},
	{"the state of launches", "launch", "FuzzState"},
	{"what nodes ask of each other's hosts", "ec2/hosts", "FuzzServe"},
	{"the audit log", "trail", "FuzzOpen"},
	{"packed segments of the audit log", "trail", "FuzzUnpack"},
	{"where copies of the audit log go", "trail/sink", "FuzzParse"},
	{"noted ends of the audit log", "trail", "FuzzHead"},
	{"parameters in records", "trail", "FuzzParameters"},
	{"keys of the store", "store", "FuzzKey"},
	{"pages of the store's file", "store/bolt", "FuzzPages"},
	{"ranges of the store", "store", "FuzzBounds"},
	{"backups", "app", "FuzzRestore"},
	{"the configuration file", "../cmd/kagimori", "FuzzSettings"},
	{"addresses of stores", "../cmd/kagimori", "FuzzParseStore"},
	{"rate limits", "rate", "FuzzSet"},
	{"texts", "ascii", "FuzzTexts"},
}

// unfuzzed are folders that decode something but nothing that a stranger made, and why.
var unfuzzed = map[string]string{
	"actions": "its own table", "linkedrole": "its own table", "directory/managed": "its own table", "directory/managed/managedgen": "what makes that table", "console": "its own files",
	"accessanalyzer": "FuzzMembers", "cloudtrail": "FuzzMembers", "ec2": "FuzzMembers", "ec2/idiom": "FuzzMembers: page tokens", "ec2/template": "FuzzMembers: what requests say of a launch", "iam": "FuzzMembers", "org": "FuzzMembers", "sts": "FuzzMembers",
	"kagimori": "FuzzMembers", "directory": "FuzzRaw: session tokens", "totp": "FuzzMembers: codes and seeds", "wire": "the codecs' targets", "wire/jsonbody": "FuzzDecode of both JSON codecs",
	"doctor": "what scenario reads", "authz/amend": "policies that were parsed", "remedy": "what it wrote itself", "suite": "what scenario reads", "scenario/format": "FuzzParse of scenario",
	"machine/qemu": "the monitor of a process of its own", "unseal": "the operator's plugin",
	"live": "what AWS answers the operator's own session", "live/awsconfig": "the operator's files", "sts/webtoken": "its own sealed keys",
	"guard": "decisions of its own", "blockdev/image": "disks that it makes itself", "authz/literal": "a second engine for tests",
}

// decodes finds decoding in a line of source.
var decodes = regexp.MustCompile(`json\.(Unmarshal|NewDecoder)|xml\.NewDecoder|cbor\.|\.DecodeString\(|asn1\.Unmarshal|x509\.Parse|pem\.Decode|(gzip|s2)\.NewReader|flate\.NewReader|yaml\.|Endian\.Uint(16|32|64)\(`)

// Everything that somebody else made has a fuzz target, with seeds.
func TestEveryReaderIsFuzzed(t *testing.T) {
	covered := map[string]bool{}
	for _, r := range readers {
		covered[r.folder] = true
		switch seeded, found := seeds(t, filepath.Join("..", r.folder), r.target); {
		case !found:
			t.Errorf("%s: no %s in %s", r.reads, r.target, r.folder)
		case !seeded:
			t.Errorf("%s: %s in %s has no seeds", r.reads, r.target, r.folder)
		}
	}
	for folder := range folders(t) {
		if !covered[folder] && unfuzzed[folder] == "" {
			t.Errorf("%s decodes something, and has no fuzz target here", folder)
		}
	}
	for folder := range unfuzzed {
		if _, err := os.Stat(filepath.Join("..", folder)); err != nil || covered[folder] {
			t.Errorf("%s needs no exception: %v", folder, err)
		}
	}
}

// seeds looks for a fuzz target and whether it adds seeds.
func seeds(t *testing.T, dir, target string) (seeded, found bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != target {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
					seeded = true
				}
				return true
			})
			return seeded, true
		}
	}
	return false, false
}

// folders are those below internal whose code decodes.
func folders(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_gen.go") {
			return err
		}
		folder, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil || strings.HasSuffix(folder, "test") || slices.Contains([]string{"apigen", "testkit", "bench", "tour", "scenario"}, folder) {
			return err
		}
		data, err := os.ReadFile(path)
		if decodes.Match(data) {
			out[filepath.ToSlash(folder)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %v decode", slices.Collect(maps.Keys(out)))
	}
	return out
}
