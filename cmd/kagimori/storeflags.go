package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kagimori/kagimori/internal/app"
)

// storeFlags say where the store is.
type storeFlags struct {
	store              string
	ca, cert, key      string
	user, passwordFile string
	reads              string
}

const storeUsage = "`store` of several nodes, as etcd://HOST:PORT,HOST:PORT/PREFIX (default: a file in the data directory)"

func (f *storeFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.store, "store", "", storeUsage)
	fl.StringVar(&f.ca, "store-ca", "", "`file` with the certificates, in PEM, that those of etcd's members are checked against; turns TLS on")
	fl.StringVar(&f.cert, "store-cert", "", "`file` with the certificate that this node shows to etcd; turns TLS on")
	fl.StringVar(&f.key, "store-key", "", "`file` with that certificate's key")
	fl.StringVar(&f.user, "store-user", "", "`name` of the user in etcd, with --store-password-file")
	fl.StringVar(&f.passwordFile, "store-password-file", "", "`file` with that user's password")
	fl.StringVar(&f.reads, "store-reads", "bounded", "bounded: reads are of at most a second ago; linearizable: each one asks etcd first")
}

// cluster is the cluster that is meant; nil without --store.
func (f *storeFlags) cluster() (*app.Cluster, error) {
	if f.store == "" {
		if f.ca != "" || f.cert != "" || f.key != "" || f.user != "" || f.passwordFile != "" {
			return nil, errors.New("--store-ca, --store-cert, --store-key, --store-user and --store-password-file go with --store")
		}
		return nil, nil
	}
	endpoints, prefix, err := parseStore(f.store)
	if err != nil {
		return nil, err
	}
	c := &app.Cluster{Endpoints: endpoints, Prefix: prefix, User: f.user}
	switch {
	case f.reads == "linearizable":
		c.Linearizable = true
	case f.reads != "bounded":
		return nil, fmt.Errorf("--store-reads %q is neither bounded nor linearizable", f.reads)
	case (f.cert == "") != (f.key == ""):
		return nil, errors.New("--store-cert and --store-key go together")
	case (f.user == "") != (f.passwordFile == ""):
		return nil, errors.New("--store-user and --store-password-file go together")
	}
	if f.passwordFile != "" {
		raw, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return nil, failed(fmt.Errorf("--store-password-file: %w", err))
		}
		c.Password = strings.TrimRight(string(raw), "\r\n")
	}
	if f.ca != "" || f.cert != "" {
		c.TLS, err = clientTLS(f.ca, f.cert, f.key)
	}
	return c, err
}

// clientTLS is how this program meets servers: the authorities that it believes, the system's if ca is
// empty, and the certificate that it shows, if any.
func clientTLS(ca, cert, key string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, failed(err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, failed(fmt.Errorf("%s holds no certificate in PEM", ca))
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, failed(fmt.Errorf("the certificate %s with the key %s cannot be used: %w", cert, key, err))
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// parseStore takes etcd://HOST:PORT,HOST:PORT/PREFIX apart. The prefix ends with a slash.
func parseStore(spec string) (endpoints []string, prefix string, err error) {
	rest, ok := strings.CutPrefix(spec, "etcd://")
	hosts, prefix, _ := strings.Cut(rest, "/")
	for h := range strings.SplitSeq(hosts, ",") {
		host, port, err := net.SplitHostPort(h)
		ok = ok && err == nil && host != "" && port != ""
		endpoints = append(endpoints, h)
	}
	if !ok || strings.ContainsAny(rest, "@?#") {
		return nil, "", fmt.Errorf("--store %q is not etcd://HOST:PORT,HOST:PORT/PREFIX", spec)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return endpoints, prefix, nil
}
