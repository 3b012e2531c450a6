package hostile_test

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/testkit"
)

// words are texts that something might trip over, put where texts are expected.
var words = []string{
	"", " ", "\t\r\n", ".", "..", "../../../../etc/passwd", "..\\..\\x", "/etc/passwd", "//", "%2e%2e%2f", "%00", "a\x00b", "\x7f\x1b[31m",
	strings.Repeat("a", 300), strings.Repeat("../", 200), strings.Repeat("é", 5000), strings.Repeat("*?", 120) + "b", "*", "?", "${aws:username}", "${*}", "${${${",
	"arn:aws:kms:us-east-1:444455556666:key/../alias/x", "arn:aws:iam::444455556666:role/../user/admin", "arn:aws:iam::444455556666:role//x",
	"arn:aws:iam::４４４４５５５５６６６６:root", "arn:аws:iam::444455556666:root", "arn:aws:iam::444455556666:user/admin\u200b", "arn:aws:iam::444455556666:user/admin\u202e",
	"e\u0301", "é", "ﬁ", "K", "ſ", "ı", "\ufeff", "\U000e0041", "\U0010ffff", "𝕒𝕕𝕞𝕚𝕟", "\u2028",
	"vol-../../store.db", "snap-%2e%2e", "i-0000000000000000\n", "alias/../aws/ebs", "alias/aws/ebs", "alias/AWS/ebs", "ami-*",
	"-1", "9223372036854775808", "1e999", "NaN", "0x10", "null", "true", "{}", "[]", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}`,
	strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 5000), "<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>", "<x>" + strings.Repeat("<y>", 3000), "<![CDATA[", "]]>", "&amp;&#0;&#x1F;",
	"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ssh-rsa AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAAAAAAAAA==", "eyJhbGciOiJub25lIn0.e30.", "%!s(MISSING)%n%x", "'; --", "{{7*7}}", "a,b;c", "a\r\nX-Injected: 1", "=cmd|' /C calc'!A0",
	"http://169.254.169.254/latest/meta-data/", "https://localhost/", "file:///etc/passwd", "2012-10-17T00:00:00+99:99",
}

// An inlet is a member of a request that takes a text.
type inlet struct {
	name string
	set  func(in any, text string)
}

// inlets are those of a type of request, as deep as lists and structures go to a bound.
func inlets(t reflect.Type) []inlet {
	var out []inlet
	var walk func(t reflect.Type, path string, depth int, reach func(reflect.Value) reflect.Value)
	walk = func(t reflect.Type, path string, depth int, reach func(reflect.Value) reflect.Value) {
		switch {
		case depth > 6 || t == reflect.TypeFor[map[string]any]():
		case t.Kind() == reflect.String:
			out = append(out, inlet{path, func(in any, text string) { reach(reflect.ValueOf(in).Elem()).SetString(text) }})
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
			out = append(out, inlet{path, func(in any, text string) { reach(reflect.ValueOf(in).Elem()).SetBytes([]byte(text)) }})
		case t.Kind() == reflect.Pointer && t.String() != "*time.Time":
			walk(t.Elem(), path, depth, func(v reflect.Value) reflect.Value {
				if v = reach(v); v.IsNil() {
					v.Set(reflect.New(t.Elem()))
				}
				return v.Elem()
			})
		case t.Kind() == reflect.Slice:
			walk(t.Elem(), path+"[]", depth+1, func(v reflect.Value) reflect.Value {
				if v = reach(v); v.Len() == 0 {
					v.Set(reflect.MakeSlice(t, 1, 1))
				}
				return v.Index(0)
			})
		case t.Kind() == reflect.Struct && t.String() != "time.Time":
			for i := range t.NumField() {
				walk(t.Field(i).Type, path+"."+t.Field(i).Name, depth+1, func(v reflect.Value) reflect.Value { return reach(v).Field(i) })
			}
		}
	}
	walk(t, "", 0, func(v reflect.Value) reflect.Value { return v })
	return out
}

// survives checks what came of a request that says something odd: an answer, or an error of the service that
// blames the request.
func survives(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := errors.AsType[*apierr.Error](err)
	switch {
	case !ok && strings.HasPrefix(err.Error(), "restjson: "), !ok && strings.Contains(err.Error(), "invalid header field value"):
		return // the client itself cannot say it
	case !ok:
		t.Errorf("%s: %v", what, err)
	case leaks(e.Message) != "" && !strings.Contains(what, "/") && !strings.Contains(what, "%"):
		t.Errorf("%s: the text tells %q: %s", what, leaks(e.Message), e.Message)
	case e.Status >= 500 || e.Server || e.Code == "InternalFailure" || e.Code == "InternalError":
		t.Errorf("%s: %d %v", what, e.Status, e)
	}
}

// every is how many of the words each place is given in the short form: one of so many.
func every() int {
	if os.Getenv("HOSTILE") != "" {
		return 1
	}
	return 97
}

// Whatever is put where a text is expected, in any member of any operation, is answered or refused as the
// request's own fault, and nothing gets out of the data directory.
func TestOddTexts(t *testing.T) {
	if n := sprinkle(t, words, every()); n < 1000 {
		t.Errorf("only %d requests", n)
	}
}

// No address in any member of any operation is visited: the metadata service of a cloud, this machine, or
// where a presigned URL leads.
func TestNoAddressIsVisited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var visits atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	addresses := []string{
		"http://127.0.0.1:" + port + "/x", "https://127.0.0.1:" + port + "/", "https://localhost:" + port, "https://2130706433:" + port + "/",
		"https://[::ffff:127.0.0.1]:" + port + "/", "127.0.0.1:" + port, "https://0177.1:" + port + "/.well-known/openid-configuration",
	}
	step := 7
	if os.Getenv("HOSTILE") != "" {
		step = 1
	}
	if n := sprinkle(t, addresses, step); n < 2000 {
		t.Errorf("only %d requests", n)
	}
	if err := l.Close(); err != nil || visits.Load() != 0 {
		t.Errorf("%d visits, %v", visits.Load(), err)
	}
}

// sprinkle puts texts into every member of every operation, one of every so many, and counts the requests.
func sprinkle(t *testing.T, texts []string, step int) (n int) {
	turn := 0
	for _, s := range services() {
		for chunk := range slices.Chunk(slices.Sorted(maps.Keys(s.Operations)), 40) {
			w := newWorld(t)
			parent := listing(t, filepath.Dir(w.Data()))
			for _, name := range chunk {
				op := s.Operations[name]
				for _, place := range inlets(reflect.TypeOf(op.NewInput()).Elem()) {
					for _, text := range texts {
						if turn++; turn%step != 0 {
							continue
						}
						in := good(s.Service, op, w.known)
						place.set(in, text)
						var out any
						if op.NewOutput != nil {
							out = op.NewOutput()
						}
						survives(t, s.Name+":"+name+place.name+" "+cut(text), s.of(w.admin).Do(t.Context(), name, in, out))
						n++
					}
				}
			}
			contained(t, w.Data(), parent)
			testkit.Call[stsapi.GetCallerIdentityResponse](w.As(testkit.Admin(stranger)).STS, "GetCallerIdentity", &stsapi.GetCallerIdentityRequest{})
			w.Stop()
		}
	}
	return n
}

func cut(s string) string { return s[:min(len(s), 60)] }

// files are the names that a data directory may have.
var files = regexp.MustCompile(`^(kagimori\.json|store\.db|seal\.json|root-credentials|operator\.sock|lock|trail(/[0-9a-z.-]+)?|(volumes|snapshots|images|machines|sinks)(/[A-Za-z0-9._-]+)*)$`)

// contained checks that a data directory has nothing but what belongs there, and that nothing is beside it.
func contained(t *testing.T, data string, beside []string) {
	t.Helper()
	for _, name := range listing(t, data) {
		if !files.MatchString(name) {
			t.Errorf("the data directory has %q", name)
		}
	}
	var now []string
	for _, name := range listing(t, filepath.Dir(data)) {
		if !strings.HasPrefix(name, filepath.Base(data)) {
			now = append(now, name)
		}
	}
	beside = slices.DeleteFunc(slices.Clone(beside), func(name string) bool { return strings.HasPrefix(name, filepath.Base(data)) })
	if !slices.Equal(beside, now) {
		t.Errorf("beside the data directory: %q, before %q", now, beside)
	}
}

// listing is what lies under a directory.
func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // came and went
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if rel != "." {
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// FuzzMembers is TestOddTexts with texts that the fuzzer makes up.
func FuzzMembers(f *testing.F) {
	type place struct {
		s  offered
		op *api.Operation
		in inlet
	}
	var places []place
	for _, s := range services() {
		for _, op := range s.Operations {
			for _, in := range inlets(reflect.TypeOf(op.NewInput()).Elem()) {
				places = append(places, place{s, op, in})
			}
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return strings.Compare(a.s.Name+a.op.Name+a.in.name, b.s.Name+b.op.Name+b.in.name)
	})
	for i, word := range words {
		f.Add(uint16(i*997), word)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, where uint16, text string) {
		p := places[int(where)%len(places)]
		in := good(p.s.Service, p.op, w.known)
		p.in.set(in, text)
		survives(t, p.s.Name+":"+p.op.Name+p.in.name+"="+text, p.s.of(w.admin).Do(t.Context(), p.op.Name, in, nil))
	})
}
