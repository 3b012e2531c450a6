package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/objects/s3"
	"github.com/kagimori/kagimori/internal/secret"
)

// snapshotFlags say where snapshots are kept if not in the data directory.
type snapshotFlags struct{ place, endpoint, region, ca string }

func (f *snapshotFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.place, "snapshots", "", "`s3://BUCKET/PREFIX` that snapshots are kept in, instead of the data directory; with --store all nodes name the same one, or file:///FOLDER that they share; credentials are in KAGIMORI_SNAPSHOTS_ACCESS_KEY_ID and KAGIMORI_SNAPSHOTS_SECRET_ACCESS_KEY")
	fl.StringVar(&f.endpoint, "snapshots-endpoint", "", "https `URL` of the S3-compatible server with the bucket (default that of AWS)")
	fl.StringVar(&f.region, "snapshots-region", "", "`Region` of the bucket (default us-east-1)")
	f.registerAccess(fl)
}

// registerAccess is for commands that find in the data directory which bucket it is.
func (f *snapshotFlags) registerAccess(fl *pflag.FlagSet) {
	fl.StringVar(&f.ca, "snapshots-ca", "", "`file` with certificates, in PEM, to trust for the bucket's server beside the system's")
}

// folder is the folder that snapshots are kept in, "" if they are in a bucket or in the data directory.
func (f *snapshotFlags) folder() string {
	folder, _ := strings.CutPrefix(f.place, "file://")
	if folder == f.place {
		return ""
	}
	return folder
}

// config is what the flags and the environment say.
func (f *snapshotFlags) config() (s3.Config, error) {
	cfg := s3.Config{
		Endpoint: f.endpoint, Region: f.region, AccessKeyID: os.Getenv("KAGIMORI_SNAPSHOTS_ACCESS_KEY_ID"),
		SecretAccessKey: secret.String(os.Getenv("KAGIMORI_SNAPSHOTS_SECRET_ACCESS_KEY")),
		SessionToken:    secret.String(os.Getenv("KAGIMORI_SNAPSHOTS_SESSION_TOKEN")),
	}
	if f.place == "" && (f.endpoint != "" || f.region != "") {
		return cfg, fmt.Errorf("--snapshots-endpoint and --snapshots-region are about a bucket; name it with --snapshots")
	}
	if f.folder() != "" {
		return cfg, nil
	}
	if f.place != "" {
		rest, ok := strings.CutPrefix(f.place, "s3://")
		if cfg.Bucket, cfg.Prefix, _ = strings.Cut(rest, "/"); !ok || cfg.Bucket == "" {
			return cfg, fmt.Errorf("--snapshots %q is not like s3://my-bucket/kagimori", f.place)
		}
		cfg.Prefix = strings.Trim(cfg.Prefix, "/")
		if cfg.AccessKeyID == "" || cfg.SecretAccessKey == "" {
			return cfg, fmt.Errorf("--snapshots needs credentials in KAGIMORI_SNAPSHOTS_ACCESS_KEY_ID and KAGIMORI_SNAPSHOTS_SECRET_ACCESS_KEY")
		}
	}
	if f.ca == "" {
		return cfg, nil
	}
	base, err := x509.SystemCertPool()
	if err != nil {
		base = x509.NewCertPool()
	}
	cfg.Outbound.Roots, err = certificates(f.ca, base)
	return cfg, err
}
