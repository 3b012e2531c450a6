package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/trail/sink"
)

// auditFlags are about where the audit log goes beside the data directory.
type auditFlags struct {
	sinks    []string
	required time.Duration
}

// sinkFlag is the setting whose values may be mappings in a file.
const sinkFlag = "audit-sink"

func (f *auditFlags) register(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.sinks, sinkFlag, nil, "`TYPE,NAME=VALUE,...` where the audit log is taken to, such as file,path=/var/log/kagimori/audit.jsonl; in a file of settings also a mapping; the names are below (repeatable)")
	spanVar(fl, &f.required, "audit-required", 0, "how `long` a record may wait for a sink before requests are refused with ServiceUnavailable until all are taken (0: for ever)")
}

// configure adds what the flags say to the server's configuration.
func (f *auditFlags) configure(cfg *app.Config) error {
	for _, text := range f.sinks {
		s, err := sink.Parse(text)
		if err != nil {
			return fmt.Errorf("--audit-sink: %w", err)
		}
		cfg.Sinks = append(cfg.Sinks, s)
	}
	switch {
	case f.required > 0 && f.required < time.Second:
		return errors.New("--audit-required is a second at least: sinks take records in batches")
	case f.required > 0 && len(cfg.Sinks) == 0:
		return errors.New("--audit-required needs an --audit-sink")
	}
	cfg.AuditRequired = f.required
	return app.CheckSinks(*cfg)
}

// sinkText is a mapping of a file of settings as the flag has it.
func sinkText(n *yaml.Node) (string, error) {
	var parts []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return "", fmt.Errorf("%s has a text as its value", key.Value)
		}
		parts = append(parts, key.Value+"="+value.Value)
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.Write(parts); err != nil {
		return "", err
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n"), w.Error()
}

// sinkTable is the table of a sink's names, as docs/configuration.md has it.
func sinkTable() string {
	var b strings.Builder
	b.WriteString("| name | of | default | what it is |\n|---|---|---|---|\n")
	for _, f := range sink.Fields() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Types, f.Default, f.Usage)
	}
	return b.String()
}

// sinkNames are the same for a terminal.
func sinkNames() string {
	var b strings.Builder
	for _, f := range sink.Fields() {
		def := ""
		if f.Default != "" {
			def = " (default " + f.Default + ")"
		}
		fmt.Fprintf(&b, "  %-12s %-8s %s%s\n", f.Name, f.Types, f.Usage, def)
	}
	return b.String()
}
