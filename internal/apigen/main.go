// Command apigen generates internal/api/<service>api from AWS service models.
//
//	go run ./internal/apigen -models DIR          write the packages
//	go run ./internal/apigen -models DIR -check   fail if they are not current
//
// DIR holds trimmed models (kms.json, paginators.json) or is botocore's data folder. Without
// -models only the kagimori service, whose model is in the repository, is generated.
// Our own folder may hold <service>.more.json: operations and shapes that a trimmed model lacks.
// operations.txt lists what is emitted.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	fs := flag.NewFlagSet("apigen", flag.ContinueOnError)
	models := fs.String("models", "", "folder of service models")
	list := fs.String("operations", "internal/apigen/operations.txt", "operations to emit")
	own := fs.String("own", "internal/api/models", "folder of our own models")
	out := fs.String("out", "internal/api", "folder for the generated packages")
	check := fs.Bool("check", false, "compare instead of writing")
	if err := fs.Parse(args); err != nil {
		return err
	}
	want, order, err := readOperations(*list)
	if err != nil {
		return err
	}
	for _, service := range order {
		dir := *own
		if _, err := os.Stat(filepath.Join(dir, service+".json")); err != nil {
			if dir = *models; dir == "" {
				continue
			}
		}
		m, pagers, err := load(dir, service)
		if err != nil {
			return err
		}
		if err := m.add(filepath.Join(*own, service+".more.json")); err != nil {
			return err
		}
		g := newGenerator(service, m, pagers, want[service])
		files, err := g.generate()
		if err != nil {
			return fmt.Errorf("%s: %w", service, err)
		}
		if err := emit(filepath.Join(*out, service+"api"), files, *check); err != nil {
			return err
		}
	}
	return nil
}

func readOperations(path string) (map[string][]string, []string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	want := map[string][]string{}
	var order []string
	service := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			service = ""
		case service == "":
			service = line
			order = append(order, service)
		default:
			want[service] = append(want[service], strings.Fields(line)...)
		}
	}
	return want, order, nil
}

func emit(dir string, files map[string][]byte, check bool) error {
	if !check {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if !check {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return err
			}
			continue
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(old, data) {
			return fmt.Errorf("%s is not current: run make generate", path)
		}
	}
	return nil
}
