package main

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// clientFlags are the flags of the commands that ask a running server.
type clientFlags struct {
	endpoint, region, profile string
}

const clientNote = `

It asks a running server as an ordinary client: with the credentials of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
AWS_SESSION_TOKEN, or else those of a profile in the AWS CLI's files, for the Region of AWS_REGION or AWS_DEFAULT_REGION,
at AWS_ENDPOINT_URL. AWS_CA_BUNDLE names certificates to trust.`

func (f *clientFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.endpoint, "endpoint", "", "`URL` of the server (default AWS_ENDPOINT_URL, or http://127.0.0.1:4566)")
	fl.StringVar(&f.region, "region", "", "AWS `region` to ask about (default AWS_REGION, AWS_DEFAULT_REGION or the profile's)")
	fl.StringVar(&f.profile, "profile", "", "`profile` of the AWS CLI's files to ask as (default AWS_PROFILE, or \"default\")")
}

// client is a client of the kagimori service. region replaces what flags and environment say, if
// the flag was not given.
func (f *clientFlags) client(region string) (*client.Client, error) {
	p, err := f.settings()
	if err != nil {
		return nil, err
	}
	if f.region == "" {
		p.region = cmp.Or(region, p.region)
	}
	if p.region == "" {
		return nil, errors.New("no Region: give --region or set AWS_REGION")
	}
	if u, err := url.Parse(p.endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint %q is not a URL such as http://127.0.0.1:4566", p.endpoint)
	}
	c, err := client.New(strings.TrimSuffix(p.endpoint, "/"), p.region, p.creds, kagimoriapi.Service())
	if err != nil {
		return nil, err
	}
	c.HTTP, err = httpClient(os.Getenv("AWS_CA_BUNDLE"))
	return c, err
}

func httpClient(bundle string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone() // it is one, by its documentation
	if bundle != "" {
		pem, err := os.ReadFile(bundle)
		if err != nil {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: no certificates in %s", bundle)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t, Timeout: time.Minute}, nil
}

// settings are whom to ask, and as whom.
type settings struct {
	endpoint, region string
	creds            sigv4.Credentials
}

// settings follow the AWS CLI: flags, then the environment, then its files. A profile that was
// named comes before credentials of the environment. Source: AWS CLI User Guide, "Configuration and
// credential precedence".
func (f *clientFlags) settings() (settings, error) {
	s := settings{
		endpoint: cmp.Or(f.endpoint, os.Getenv("AWS_ENDPOINT_URL_KAGIMORI"), os.Getenv("AWS_ENDPOINT_URL")),
		region:   cmp.Or(f.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
	}
	name := cmp.Or(f.profile, os.Getenv("AWS_PROFILE"), "default")
	profile, err := readProfile(name)
	if err != nil {
		return s, err
	}
	s.endpoint = cmp.Or(s.endpoint, profile["endpoint_url"], "http://127.0.0.1:4566")
	s.region = cmp.Or(s.region, profile["region"])
	id, key, token := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	if id == "" || f.profile != "" {
		id, key, token = profile["aws_access_key_id"], profile["aws_secret_access_key"], profile["aws_session_token"]
	}
	if id == "" || key == "" {
		return s, fmt.Errorf("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or fill in the profile %q", name)
	}
	s.creds = sigv4.Credentials{AccessKeyID: id, Secret: secret.String(key), SessionToken: token}
	return s, nil
}

// readProfile reads a profile from the AWS CLI's files: what the credentials file says counts more.
func readProfile(name string) (map[string]string, error) {
	home, _ := os.UserHomeDir() // without one there are no such files
	out := map[string]string{}
	config := "profile " + name
	if name == "default" {
		config = name
	}
	for _, file := range []struct{ path, section string }{
		{cmp.Or(os.Getenv("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config")), config},
		{cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), filepath.Join(home, ".aws", "credentials")), name},
	} {
		if err := readSection(out, file.path, file.section); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readSection adds the settings of a section of a file, if there is such a file.
func readSection(into map[string]string, path, section string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	in := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			in = strings.TrimSpace(strings.Trim(line, "[]")) == section
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if in && ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			into[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return lines.Err()
}
