package sink

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Spec is a sink as it is configured.
type Spec struct {
	Type    string // file, syslog or webhook
	Name    string // of its place in the log, its figures and its messages; the type if it is not given
	FromNow bool
	Timeout time.Duration

	File FileConfig

	SyslogNetwork, SyslogAddress string
	CA, Cert, Key                string // files
	Facility                     int
	App                          string

	URL        string
	SecretFile string
}

// A Field is one of a sink's configuration, for documents.
type Field struct {
	Name, Types, Default, Usage string
	set                         func(*Spec, string) error
}

// Fields are all that a configuration may have, in the order of documents.
func Fields() []Field {
	text := func(p func(*Spec) *string) func(*Spec, string) error {
		return func(s *Spec, v string) error { *p(s) = v; return nil }
	}
	return []Field{
		{"type", "all", "", "file, syslog or webhook; the first field may be this alone", func(s *Spec, v string) error {
			if !slices.Contains([]string{"file", "syslog", "webhook"}, v) {
				return errors.New("is file, syslog or webhook")
			}
			s.Type = v
			return nil
		}},
		{"name", "all", "the type", "name in figures and messages, and of what is delivered: a sink with a new name begins anew", func(s *Spec, v string) error {
			if !names.MatchString(v) {
				return errors.New("is letters, digits and hyphens, 40 at most")
			}
			s.Name = v
			return nil
		}},
		{"from", "all", "oldest", "where a new sink begins: oldest is the oldest record that the log has, now the next one", func(s *Spec, v string) error {
			if v != "oldest" && v != "now" {
				return errors.New("is oldest or now")
			}
			s.FromNow = v == "now"
			return nil
		}},
		{"timeout", "all", "10s", "how long one attempt to deliver may take", duration(func(s *Spec) *time.Duration { return &s.Timeout }, time.Millisecond)},
		{"path", "file", "", "file that the lines go to; its folder has to be there", text(func(s *Spec) *string { return &s.File.Path })},
		{"max-size", "file", "100MiB", "size from which on a new file is begun; 0 is never", size(func(s *Spec) *int64 { return &s.File.MaxSize })},
		{"max-age", "file", "24h", "time after which the next record begins a new file; 0 is never", duration(func(s *Spec) *time.Duration { return &s.File.MaxAge }, 0)},
		{"keep", "file", "0", "most old files that are kept; 0 is all", func(s *Spec, v string) (err error) {
			if s.File.Keep, err = strconv.Atoi(v); err != nil || s.File.Keep < 0 {
				return errors.New("is a number")
			}
			return nil
		}},
		{"max-total", "file", "0", "most that old files have together; 0 is no bound", size(func(s *Spec) *int64 { return &s.File.MaxTotal })},
		{"sync", "file", "true", "whether records are on the disk before they count as delivered", func(s *Spec, v string) error {
			on, err := strconv.ParseBool(v)
			s.File.NoSync = !on
			return yes(err)
		}},
		{"gzip", "file", "true", "whether old files are compressed", func(s *Spec, v string) (err error) {
			s.File.Compress, err = strconv.ParseBool(v)
			return yes(err)
		}},
		{"address", "syslog", "unix:/dev/log", "server: unix:PATH, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT", func(s *Spec, v string) error {
			var err error
			s.SyslogNetwork, s.SyslogAddress, err = syslogAddress(v)
			return err
		}},
		{"ca", "syslog", "the system's", "file with the certificates that that of the server is checked against", text(func(s *Spec) *string { return &s.CA })},
		{"cert", "syslog", "", "file with the certificate chain that the server is shown", text(func(s *Spec) *string { return &s.Cert })},
		{"key", "syslog", "", "file with that certificate's key", text(func(s *Spec) *string { return &s.Key })},
		{"facility", "syslog", "authpriv", "facility of the messages: " + strings.Join(Facilities(), ", "), func(s *Spec, v string) error {
			if s.Facility = slices.Index(Facilities(), v); s.Facility < 0 {
				return errors.New("is none of " + strings.Join(Facilities(), ", "))
			}
			return nil
		}},
		{"app", "syslog", "kagimori", "name of the application in the messages", text(func(s *Spec) *string { return &s.App })},
		{"url", "webhook", "", "https URL that gets the lines; an address outside the public internet needs --outbound-allow or --outbound-connect", func(s *Spec, v string) error {
			u, err := url.Parse(v)
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
				return errors.New("is an https URL without a user")
			}
			s.URL = v
			return nil
		}},
		{"secret-file", "webhook", "", "file with the secret that requests are signed with, of 16 bytes at least; white space around it does not count", text(func(s *Spec) *string { return &s.SecretFile })},
	}
}

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,39}$`)

func yes(err error) error {
	if err != nil {
		return errors.New("is true or false")
	}
	return nil
}

func duration(p func(*Spec) *time.Duration, least time.Duration) func(*Spec, string) error {
	return func(s *Spec, v string) error {
		d, err := time.ParseDuration(v)
		if v == "0" {
			d, err = 0, nil
		}
		if err != nil || d < least {
			return errors.New("is a time such as 30s or 24h")
		}
		*p(s) = d
		return nil
	}
}

func size(p func(*Spec) *int64) func(*Spec, string) error {
	return func(s *Spec, v string) error {
		n, unit := v, int64(1)
		for name, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if rest, ok := strings.CutSuffix(v, name); ok {
				n, unit = rest, u
			}
		}
		i, err := strconv.ParseInt(n, 10, 64)
		if err != nil || i < 0 || i > math.MaxInt64/unit {
			return errors.New("is a size such as 64MiB")
		}
		*p(s) = i * unit
		return nil
	}
}

func syslogAddress(v string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(v, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return "", "", errors.New("is unix: and an absolute path")
		}
		return "unix", path, nil
	}
	network, address, _ = strings.Cut(v, "://")
	host, port, err := net.SplitHostPort(address)
	if !slices.Contains([]string{"udp", "tcp", "tls"}, network) || err != nil || host == "" || port == "" {
		return "", "", errors.New("is unix:PATH, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT")
	}
	return network, address, nil
}

// Parse reads a sink's configuration: NAME=VALUE with commas between, quoted as in CSV, such as
// "file,path=/var/log/kagimori/audit.jsonl,max-size=1GiB". It reads no file.
func Parse(text string) (Spec, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	parts, err := r.ReadAll()
	if err != nil || len(parts) != 1 {
		return Spec{}, fmt.Errorf("%q is not a sink such as file,path=/var/log/kagimori/audit.jsonl", text)
	}
	s := Spec{Timeout: 10 * time.Second, Facility: slices.Index(Facilities(), "authpriv"), SyslogNetwork: "unix", SyslogAddress: "/dev/log",
		File: FileConfig{MaxSize: 100 << 20, MaxAge: 24 * time.Hour, Compress: true}}
	given := map[string]bool{}
	for i, part := range parts[0] {
		name, value, ok := strings.Cut(part, "=")
		if i == 0 && !ok {
			name, value = "type", name
		} else if !ok {
			return Spec{}, fmt.Errorf("%q is not like NAME=VALUE", part)
		}
		if given[name] {
			return Spec{}, fmt.Errorf("%s is there twice", name)
		}
		given[name] = true
		if err := s.set(name, value); err != nil {
			return Spec{}, err
		}
	}
	return s, s.check(given)
}

func (s *Spec) set(name, value string) error {
	all := Fields()
	i := slices.IndexFunc(all, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return fmt.Errorf("a sink has no %q", name)
	}
	if value == "" {
		return fmt.Errorf("%s is empty", name)
	}
	if err := all[i].set(s, value); err != nil {
		return fmt.Errorf("%s=%s: it %w", name, value, err)
	}
	return nil
}

// check looks at all together.
func (s *Spec) check(given map[string]bool) error {
	if s.Type == "" {
		return errors.New("a sink has a type: file, syslog or webhook")
	}
	for _, f := range Fields() {
		if given[f.Name] && f.Types != "all" && f.Types != s.Type {
			return fmt.Errorf("%s is of a %s, not of a %s", f.Name, f.Types, s.Type)
		}
	}
	if s.Name == "" {
		s.Name = s.Type
	}
	switch {
	case s.Type == "file" && s.File.Path == "":
		return errors.New("a file needs a path")
	case s.Type == "webhook" && (s.URL == "" || s.SecretFile == ""):
		return errors.New("a webhook needs a url and a secret-file")
	case s.Type == "syslog" && s.SyslogNetwork != "tls" && (s.CA != "" || s.Cert != ""):
		return errors.New("ca and cert are for an address such as tls://HOST:PORT")
	case (s.Cert == "") != (s.Key == ""):
		return errors.New("cert and key belong together")
	}
	return nil
}
