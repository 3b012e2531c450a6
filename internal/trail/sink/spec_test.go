package sink_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/trail/sink"
)

func TestParse(t *testing.T) {
	s, err := sink.Parse(`file,path=/var/log/audit.jsonl,max-size=64MiB,max-age=1h,keep=7,max-total=1GiB,sync=false,gzip=false,name=disk,from=now,timeout=3s`)
	if err != nil || s.Type != "file" || s.Name != "disk" || !s.FromNow || s.Timeout != 3*time.Second || s.File.Path != "/var/log/audit.jsonl" || s.File.MaxSize != 64<<20 ||
		s.File.MaxAge != time.Hour || s.File.Keep != 7 || s.File.MaxTotal != 1<<30 || !s.File.NoSync || s.File.Compress {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = sink.Parse(`type=file,"path=/a,b"`); err != nil || s.Name != "file" || s.File.Path != "/a,b" || s.File.MaxSize != 100<<20 || s.File.MaxAge != 24*time.Hour || !s.File.Compress || s.File.NoSync || s.FromNow {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = sink.Parse("syslog"); err != nil || s.SyslogNetwork != "unix" || s.SyslogAddress != "/dev/log" || s.Facility != 10 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = sink.Parse("syslog,address=tls://logs.example:6514,ca=/ca.pem,facility=local0,app=keys"); err != nil || s.SyslogNetwork != "tls" || s.SyslogAddress != "logs.example:6514" || s.CA != "/ca.pem" || s.Facility != 16 || s.App != "keys" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = sink.Parse("webhook,url=https://siem.example/in?a=b,secret-file=/s"); err != nil || s.URL != "https://siem.example/in?a=b" || s.SecretFile != "/s" {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"":                           "is not a sink",
		"disk":                       "it is file, syslog or webhook",
		"path=/x":                    "a sink has a type",
		"file":                       "needs a path",
		"file,path=":                 "path is empty",
		"file,path":                  "is not like NAME=VALUE",
		"file,path=/a,path=/b":       "path is there twice",
		"file,path=/a,url=https://x": "url is of a webhook, not of a file",
		"file,path=/a,colour=red":    `has no "colour"`,
		"file,path=/a,max-size=1TB":  "it is a size",
		"file,path=/a,max-size=9223372036854775807GiB": "it is a size",
		"file,path=/a,max-age=-1h":                     "it is a time",
		"file,path=/a,timeout=0":                       "it is a time",
		"file,path=/a,keep=-1":                         "it is a number",
		"file,path=/a,sync=maybe":                      "it is true or false",
		"file,path=/a,name=../x":                       "it is letters",
		"file,path=/a,from=then":                       "it is oldest or now",
		"syslog,address=logs:514":                      "it is unix:PATH",
		"syslog,address=unix:log":                      "absolute path",
		"syslog,address=tcp://logs":                    "it is unix:PATH",
		"syslog,facility=none":                         "it is none of kern",
		"syslog,ca=/x":                                 "ca and cert are for",
		"syslog,address=tls://a:1,cert=/x":             "belong together",
		"webhook,url=http://x,secret-file=/s":          "it is an https URL",
		"webhook,url=https://a:b@x,secret-file=/s":     "it is an https URL",
		"webhook,url=https://x":                        "needs a url and a secret-file",
		"file\nfile":                                   "is not a sink",
	} {
		if s, err := sink.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`file,path=/a,"max-size=1,0"`)
	f.Add("syslog,address=tls://a:1,facility=local7")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := sink.Parse(text); err == nil && (s.Type == "" || s.Name == "" || s.File.MaxSize < 0 || s.Timeout <= 0 || s.Type == "file" && s.File.Path == "") {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

func specs(t testing.TB, texts ...string) []sink.Spec {
	t.Helper()
	var out []sink.Spec
	for _, text := range texts {
		s, err := sink.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// Several sinks of one log run each for itself, and what is wrong with one is said before any begins.
func TestSet(t *testing.T) {
	w := newWorld(t, 0)
	w.add(t, 10)
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("  short  \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string][]string{
		"two sinks are called file": {"file,path=" + dir + "/a", "file,path=" + dir + "/b"},
		"there is no folder":        {"file,path=" + dir + "/none/a"},
		"cannot be read":            {"webhook,url=https://x.example,secret-file=" + dir + "/none"},
		"has less than 16 bytes":    {"webhook,url=https://x.example,secret-file=" + short},
		"there are no certificates": {"syslog,address=tls://x.example:1,ca=" + short},
		"with the key":              {"syslog,address=tls://x.example:1,cert=" + short + ",key=" + short},
		"the certificates " + dir:   {"syslog,address=tls://x.example:1,ca=" + dir + "/none"},
	} {
		_, err := sink.OpenSet(specs(t, bad...), w.log, w.cursors, sink.Maker{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
	set, err := sink.OpenSet(specs(t, "file,path="+dir+"/a.jsonl", "syslog,address=unix:"+dir+"/none"), w.log, w.cursors, sink.Maker{Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		st := set.Status()
		if st[0].Behind == 0 && st[1].Failures > 0 {
			break
		}
	}
	st := set.Status()
	if len(st) != 2 || st[0].Name != "file" || st[0].Delivered != 10 || st[0].Error != "" || st[1].Kind != "syslog" || st[1].Behind != 10 || st[1].Error == "" {
		t.Errorf("%+v", st)
	}
	if late := set.Overdue(0); late != "syslog" {
		t.Errorf("late is %q", late)
	}
	if late := set.Overdue(time.Hour); late != "" {
		t.Errorf("late is %q", late)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := set.Close(ctx); err != nil {
		t.Error(err)
	}
	checkFiles(t, filepath.Join(dir, "a.jsonl"), 1, 10)
}
