package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
)

// The flag counts before the variable, the variable before the file, the file before the default.
func TestSettingsHaveAPrecedence(t *testing.T) {
	file := "listen: 127.0.0.1:1\ndata: /from/file\nlog-level: warn\nrate-limit: [\"kms:CreateKey=1\", \"kms:rsa=2/4\"]\ndev: true\n"
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KAGIMORI_SERVE_LISTEN": "127.0.0.1:2", "KAGIMORI_SERVE_DATA": "/from/env", "KAGIMORI_SERVE_ALLOWED_HOST": "a.test b.test"}
	f := &serveFlags{}
	fl := f.command(stdio{}).Flags()
	if err := fl.Parse([]string{"--listen", "127.0.0.1:3"}); err != nil {
		t.Fatal(err)
	}
	from, err := settle(fl, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, path)
	if err != nil {
		t.Fatal(err)
	}
	if f.listen != "127.0.0.1:3" || f.data != "/from/env" || f.logLevel != "warn" || !f.dev || f.keyCache != 0 {
		t.Errorf("listen %s, data %s, log level %s, dev %v", f.listen, f.data, f.logLevel, f.dev)
	}
	if strings.Join(f.load.limits, " ") != "kms:CreateKey=1 kms:rsa=2/4" || strings.Join(f.allowedHosts, " ") != "a.test b.test" {
		t.Errorf("lists: %q, %q", f.load.limits, f.allowedHosts)
	}
	if from["listen"] != "--listen" || from["data"] != "KAGIMORI_SERVE_DATA" || !strings.HasSuffix(from["log-level"], "settings.yaml:3:1") || from["fips"] != "" {
		t.Errorf("from: %v", from)
	}
}

// A sink is a text, or in a file a mapping, and is checked with all others.
func TestSinkSettings(t *testing.T) {
	dir := t.TempDir()
	check := func(file string) (*serveFlags, app.Config, error) {
		f := &serveFlags{}
		fl := f.command(stdio{}).Flags()
		path := filepath.Join(dir, "settings.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := settle(fl, func(string) (string, bool) { return "", false }, path); err != nil {
			return f, app.Config{}, err
		}
		cfg, err := f.config(slog.New(slog.DiscardHandler))
		return f, cfg, err
	}
	_, cfg, err := check("dev: true\naudit-required: 5s\naudit-sink:\n  - {type: file, path: \"" + dir + "/a,b.jsonl\", keep: 3}\n  - syslog,address=udp://127.0.0.1:514\n")
	if err != nil || len(cfg.Sinks) != 2 || cfg.Sinks[0].File.Path != dir+"/a,b.jsonl" || cfg.Sinks[0].File.Keep != 3 || cfg.Sinks[1].SyslogAddress != "127.0.0.1:514" || cfg.AuditRequired != 5*time.Second {
		t.Errorf("%+v, %v", cfg.Sinks, err)
	}
	for text, want := range map[string]string{
		"audit-required: 5s\n":                                        "needs an --audit-sink",
		"audit-required: 5ms\naudit-sink: [syslog]\n":                 "a second at least",
		"audit-sink: [{path: x}]\n":                                   "a sink has a type",
		"audit-sink: [syslog, syslog]\n":                              "two sinks are called syslog",
		"audit-sink: [\"webhook,url=https://x,secret-file=/none\"]\n": "cannot be read",
	} {
		if _, _, err := check("dev: true\n" + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What a file has that is no setting is refused with its place.
func TestSettingsAreRefusedWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"listen: x\nlisten_address: y\n": "f:2:1: there is no setting \"listen_address\"",
		"tls_cert: x\n":                  "did you mean tls-cert?",
		"dev: maybe\n":                   "f:1:1: dev: ",
		"key-cache: [1]\n":               "f:1:1: key-cache: a value is wanted",
		"data:\n":                        "a value is wanted",
		"config: x\n":                    "there is no setting",
		"dev: true\ndev: false\n":        "",
		"- dev\n":                        "f:1: settings are lines",
		"a: b: c\n":                      "f: ",
		"rate-limit: [{a: b}]\n":         "a list of texts is wanted",
		"audit-sink: [{a: [b]}]\n":       "a has a text as its value",
	} {
		err := parseSettings(new(serveFlags).command(stdio{}).Flags(), "f", []byte(text), map[string]string{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "# nothing\n", `{"listen": "127.0.0.1:0", "dev": true, "key-cache": 5}`} {
		if err := parseSettings(new(serveFlags).command(stdio{}).Flags(), "f", []byte(text), map[string]string{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte("listen: x\nrate-limit: [a, b]\n"))
	f.Add([]byte(`{"dev": true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = parseSettings(new(serveFlags).command(stdio{}).Flags(), "f", data, map[string]string{}) // no panic
	})
}

// config check and config show read a file as serve does.
func TestConfigCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte("dev: true\nlisten: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := run(context.Background(), args, stdio{strings.NewReader(""), &out, &errs})
		return out.String(), errs.String(), code
	}
	if out, errs, code := ask("config", "check", path); code != 0 || out != "the settings are good\n" {
		t.Errorf("check: %d %s%s", code, out, errs)
	}
	out, errs, code := ask("config", "show", path)
	if code != 0 || !strings.Contains(out, "settings.yaml:1:1\ndev: \"true\"\n") || !strings.Contains(out, "# default\ndata: \"\"\n") {
		t.Errorf("show: %d %s%s", code, out, errs)
	}
	if err := parseSettings(new(serveFlags).command(stdio{}).Flags(), "f", []byte(out), map[string]string{}); err != nil {
		t.Errorf("what show prints is no file of settings: %v", err)
	}
	if err := os.WriteFile(path, []byte("listen: 0.0.0.0:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := ask("config", "check", path); code == 0 || !strings.Contains(errs, "needs TLS") {
		t.Errorf("check of an open address: %d %s", code, errs)
	}
	for text, want := range map[string]string{
		"trace-ratio: 7\n": "is from 0 to 1", "private-listen: none\n": "is not an address", "traces: http://collector.example/v1/traces\n": "--traces",
	} {
		if err := os.WriteFile(path, []byte("dev: true\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := ask("config", "check", path); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("check of %q: %d %s", text, code, errs)
		}
	}
}

// docs/configuration.md has every setting, with its text and default, and no other.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sinks, _ := strings.Cut(string(page), "<!-- sinks -->\n")
	if sinks, _, _ = strings.Cut(sinks, "\n\n"); sinks+"\n" != sinkTable() {
		t.Errorf("the table of sinks in docs/configuration.md should be\n%s", sinkTable())
	}
	_, table, _ := strings.Cut(string(page), "<!-- settings -->\n")
	var want strings.Builder
	want.WriteString("| setting | default | what it is |\n|---|---|---|\n")
	new(serveFlags).command(stdio{}).Flags().VisitAll(func(f *pflag.Flag) {
		if !isSetting(f) {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		def := f.DefValue
		if f.Value.Type() == "stringArray" {
			def = ""
		}
		if kind != "" {
			kind = " (" + kind + ")"
		}
		want.WriteString("| `" + f.Name + "`" + strings.ReplaceAll(kind, "|", "\\|") + " | " + def + " | " + strings.ReplaceAll(strings.ReplaceAll(usage, "\n", " "), "|", "\\|") + " |\n")
	})
	if table != want.String() {
		if err := os.WriteFile(filepath.Join(os.TempDir(), "kagimori-settings.md"), []byte(want.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Errorf("the table of docs/configuration.md is not that of the flags; it should be what is now in %s", filepath.Join(os.TempDir(), "kagimori-settings.md"))
	}
}
