package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/trail"
)

// minSecret is the least length of a webhook's secret, in bytes.
const minSecret = 16

// A Maker has what targets are made with.
type Maker struct {
	Client  *outbound.Client // of webhooks
	Node    string           // whose log it is
	Version string           // of the program
	Logger  *slog.Logger
}

// Target makes what a spec says, and reads the files that it names.
func (m Maker) Target(s Spec) (Target, error) {
	switch s.Type {
	case "file":
		cfg := s.File
		cfg.Logger = m.Logger
		return NewFile(cfg)
	case "syslog":
		cfg := SyslogConfig{Network: s.SyslogNetwork, Address: s.SyslogAddress, Facility: s.Facility, App: s.App, Version: m.Version}
		var err error
		if s.SyslogNetwork == "tls" {
			cfg.TLS, err = s.tls()
		}
		return NewSyslog(cfg), err
	case "webhook":
		key, err := readSecret(s.SecretFile)
		return NewWebhook(WebhookConfig{URL: s.URL, Secret: key, Node: m.Node, Client: m.Client, Limits: outbound.Limits{Time: s.Timeout, Body: 64 << 10}}), err
	}
	return nil, fmt.Errorf("there is no sink %q", s.Type)
}

func readSecret(path string) (secret.Bytes, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the secret %s cannot be read: %w", path, err)
	}
	if data = bytes.TrimSpace(data); len(data) < minSecret {
		return nil, fmt.Errorf("the secret in %s has less than %d bytes", path, minSecret)
	}
	return data, nil
}

func (s *Spec) tls() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("the certificates %s cannot be read: %w", s.CA, err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there are no certificates in %s", s.CA)
		}
	}
	if s.Cert == "" {
		return cfg, nil
	}
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s with the key %s cannot be used: %w", s.Cert, s.Key, err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// Check makes and ends the target of each spec: files that they name are read, and folders looked for.
func Check(specs []Spec, m Maker) error {
	seen := map[string]bool{}
	for _, s := range specs {
		if seen[s.Name] {
			return fmt.Errorf("two sinks are called %s: give them different names", s.Name)
		}
		seen[s.Name] = true
		if s.Type == "file" { // only its folder is looked at: opening would make the file
			if fi, err := os.Stat(filepath.Dir(s.File.Path)); err != nil || !fi.IsDir() {
				return fmt.Errorf("the sink %s: there is no folder %s", s.Name, filepath.Dir(s.File.Path))
			}
			continue
		}
		t, err := m.Target(s)
		if err != nil {
			return fmt.Errorf("the sink %s: %w", s.Name, err)
		}
		if err := t.Close(); err != nil {
			return err
		}
	}
	return nil
}

// A Set is the sinks of a log.
type Set struct {
	sinks []*Sink
}

// OpenSet begins to deliver to all that specs name. cursors stays open while the set runs.
func OpenSet(specs []Spec, t *trail.Trail, cursors *os.Root, m Maker) (*Set, error) {
	set := &Set{}
	if err := Check(specs, m); err != nil {
		return nil, err
	}
	for _, s := range specs {
		target, err := m.Target(s)
		var one *Sink
		if err == nil {
			one, err = Open(Config{Name: s.Name, Kind: s.Type, Target: target, Trail: t, Cursors: cursors, FromNow: s.FromNow, Timeout: s.Timeout, Logger: m.Logger})
		}
		if err != nil {
			end, cancel := context.WithCancel(context.Background())
			cancel()
			return nil, errors.Join(fmt.Errorf("the sink %s: %w", s.Name, err), set.Close(end))
		}
		set.sinks = append(set.sinks, one)
	}
	return set, nil
}

// Status is how each sink does, in the order of the configuration.
func (s *Set) Status() []Status {
	if s == nil {
		return nil
	}
	var out []Status
	for _, one := range s.sinks {
		out = append(out, one.Status())
	}
	return out
}

// Overdue names a sink with a record that has waited longer than a bound; "" if there is none.
func (s *Set) Overdue(bound time.Duration) string {
	for _, one := range s.sinks {
		if one.Lag() > bound {
			return one.cfg.Name
		}
	}
	return ""
}

// Close ends all sinks: see [Sink.Close].
func (s *Set) Close(ctx context.Context) error {
	errs := make([]error, len(s.sinks))
	var all sync.WaitGroup
	for i, one := range s.sinks {
		all.Go(func() { errs[i] = one.Close(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}
