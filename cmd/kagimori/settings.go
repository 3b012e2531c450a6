package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

// A setting of the server is a flag of serve. It may be given, in this order of precedence, by the flag, by
// an environment variable, or in a file under the flag's name. Secrets are in none of the three: settings
// name the files that hold them.

// settingsPrefix begins the names of the variables: KAGIMORI_SERVE_TLS_CERT is --tls-cert.
const settingsPrefix = "KAGIMORI_SERVE_"

func settingVariable(name string) string {
	return settingsPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// notSettings are flags that only a command line has.
var notSettings = []string{"help", "config"}

func isSetting(f *pflag.Flag) bool { return !slices.Contains(notSettings, f.Name) }

// settle gives the flags that the command line left out what the environment and then the file say.
// It returns where each value is from; a default is from nowhere.
func settle(fl *pflag.FlagSet, lookup func(string) (string, bool), file string) (map[string]string, error) {
	from := map[string]string{}
	var problems []error
	fl.VisitAll(func(f *pflag.Flag) {
		if !isSetting(f) {
			return
		}
		if f.Changed {
			from[f.Name] = "--" + f.Name
			return
		}
		variable := settingVariable(f.Name)
		value, ok := lookup(variable)
		if !ok {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Fields(value)
		}
		from[f.Name] = variable
		if err := give(fl, f.Name, values); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", variable, err))
		}
	})
	if file != "" {
		problems = append(problems, settleFile(fl, file, from))
	}
	return from, errors.Join(problems...)
}

func give(fl *pflag.FlagSet, name string, values []string) error {
	for _, v := range values {
		if err := fl.Set(name, v); err != nil {
			return err
		}
	}
	return nil
}

// maxSettings bounds a file of settings, in bytes.
const maxSettings = 1 << 20

// settleFile reads a file of settings: one mapping, in YAML or JSON. What it does not know is refused with
// its place.
func settleFile(fl *pflag.FlagSet, path string, from map[string]string) error {
	f, err := os.Open(path)
	if err != nil {
		return failed(fmt.Errorf("the settings cannot be read: %w", err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return failed(fmt.Errorf("the settings cannot be read: %w", err))
	}
	if len(data) > maxSettings {
		return fmt.Errorf("%s is larger than a file of settings may be", path)
	}
	return parseSettings(fl, path, data, from)
}

func parseSettings(fl *pflag.FlagSet, path string, data []byte, from map[string]string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil // empty
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: settings are lines such as \"listen: 127.0.0.1:4566\"", path, top.Line)
	}
	var problems []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		at := fmt.Sprintf("%s:%d:%d", path, key.Line, key.Column)
		known := fl.Lookup(key.Value)
		switch {
		case known == nil || !isSetting(known):
			problems = append(problems, fmt.Errorf("%s: there is no setting %q%s", at, key.Value, near(fl, key.Value)))
			continue
		case seen[key.Value]:
			problems = append(problems, fmt.Errorf("%s: %s is set twice", at, key.Value))
			continue
		}
		seen[key.Value] = true
		values, err := valuesOf(known, value)
		if err == nil && from[key.Value] == "" {
			from[key.Value] = at
			err = give(fl, key.Value, values)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", at, key.Value, err))
		}
	}
	return errors.Join(problems...)
}

// valuesOf are the texts of a value: a scalar, or of a repeatable flag a list of scalars.
func valuesOf(f *pflag.Flag, n *yaml.Node) ([]string, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		return []string{n.Value}, nil
	case n.Kind == yaml.SequenceNode && f.Value.Type() == "stringArray":
		var out []string
		for _, item := range n.Content {
			if f.Name == sinkFlag && item.Kind == yaml.MappingNode {
				text, err := sinkText(item)
				if err != nil {
					return nil, err
				}
				out = append(out, text)
				continue
			}
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return nil, errors.New("a list of texts is wanted")
			}
			out = append(out, item.Value)
		}
		return out, nil
	}
	return nil, errors.New("a value is wanted, such as true, 10 or a text")
}

// near suggests a setting whose name is like another.
func near(fl *pflag.FlagSet, name string) string {
	found := ""
	want := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	fl.VisitAll(func(f *pflag.Flag) {
		if isSetting(f) && found == "" && (f.Name == want || strings.HasPrefix(f.Name, want) || strings.HasPrefix(want, f.Name)) {
			found = f.Name
		}
	})
	if found == "" {
		return ""
	}
	return "; did you mean " + found + "?"
}

func newConfig(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check and show the settings of a server",
		Long: `Every flag of serve is a setting: it may be given by the flag, by an environment variable (` + settingsPrefix + `TLS_CERT is --tls-cert) or in
a file (--config) under the flag's name, in this order of precedence. The file is YAML or JSON.

An audit-sink is a text such as "webhook,url=https://siem.example/in,secret-file=/etc/kagimori/hook", or in the file a mapping
of these names:

` + sinkNames(),
		Example: "  kagimori config check /etc/kagimori/kagimori.yaml\n  kagimori config show /etc/kagimori/kagimori.yaml",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(configCommand(io, "check", "Check a file of settings with the environment, and the files that it names", false))
	cmd.AddCommand(configCommand(io, "show", "Print the settings that a server would have, and where each is from", true))
	return cmd
}

func configCommand(io stdio, name, short string, show bool) *cobra.Command {
	return &cobra.Command{
		Use: name + " [FILE]", Short: short, Args: cobra.MaximumNArgs(1),
		Example: "  kagimori config " + name + " /etc/kagimori/kagimori.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			file := ""
			if len(args) == 1 {
				file = args[0]
			}
			f := &serveFlags{}
			fl := f.command(io).Flags()
			from, err := settle(fl, os.LookupEnv, file)
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			logger, err := f.logger(io)
			if err != nil {
				return err
			}
			if show {
				return printSettings(io.out, fl, from)
			}
			if _, err := f.config(logger); err != nil {
				return err
			}
			if _, err := f.tls(); err != nil {
				return failed(err)
			}
			fmt.Fprintln(io.out, "the settings are good")
			return nil
		},
	}
}

// printSettings prints them as a file of settings.
func printSettings(w io.Writer, fl *pflag.FlagSet, from map[string]string) error {
	var err error
	fl.VisitAll(func(f *pflag.Flag) {
		if !isSetting(f) || err != nil {
			return
		}
		value := any(f.Value.String())
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = list.GetSlice()
		}
		var text []byte
		if text, err = yaml.Marshal(map[string]any{f.Name: value}); err != nil {
			return
		}
		where := from[f.Name]
		if where == "" {
			where = "default"
		}
		_, err = fmt.Fprintf(w, "# %s\n%s", where, text)
	})
	return err
}
