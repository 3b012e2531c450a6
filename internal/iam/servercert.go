package iam

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// serverCertificate is a TLS certificate. Its private key is checked against it and not kept: nothing
// here would use it, and AWS never shows it.
type serverCertificate struct {
	Body    string    `json:"body"`
	Chain   string    `json:"chain,omitempty"`
	Expires time.Time `json:"expires"`
}

var serverCertificates = shelf[serverCertificate]{
	table: store.Table[kept[serverCertificate]]{Bucket: "iam/servercert", Version: 1}, noun: "server-certificate", trail: "AWS::IAM::ServerCertificate",
	missing: func(k *kept[serverCertificate]) error {
		return noSuchEntity("The Server Certificate with name %s cannot be found.", k.Name)
	},
}

// maxServerCertificates of an account. Source: IAM User Guide, "IAM and AWS STS quotas".
const maxServerCertificates = 20

func certificateMetadata(k *kept[serverCertificate]) *iamapi.ServerCertificateMetadata {
	return &iamapi.ServerCertificateMetadata{
		Path: &k.Path, ServerCertificateName: &k.Name, ServerCertificateId: &k.ID, Arn: new(serverCertificates.arn(k)), UploadDate: &k.Created,
		Expiration: &k.Body.Expires,
	}
}

// UploadServerCertificate keeps a certificate whose private key the caller has.
func (s *Service) UploadServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.UploadServerCertificateRequest) (*iamapi.UploadServerCertificateResponse, error) {
	var out *iamapi.UploadServerCertificateResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		k := serverCertificates.named(c, api.Val(in.ServerCertificateName))
		k.Path, k.ID, k.Created = pathOf(in.Path), directory.NewID("ASCA"), s.now()
		k.Body = serverCertificate{Body: strings.TrimSpace(api.Val(in.CertificateBody)), Chain: strings.TrimSpace(api.Val(in.CertificateChain))}
		taken := apierr.Newf(codeExists, "The Server Certificate with name %s already exists.", k.Name)
		if err := serverCertificates.create(s, tx, c, k, in.Tags, "TagServerCertificate", taken); err != nil {
			return err
		}
		cert, err := parseCertificate(k.Body.Body)
		if err != nil {
			return err
		}
		if _, err := tls.X509KeyPair([]byte(k.Body.Body), []byte(in.PrivateKey.Reveal())); err != nil {
			if strings.Contains(err.Error(), "does not match") {
				return apierr.New("KeyPairMismatch", "The private key does not match the public key of the certificate.")
			}
			return apierr.New("MalformedCertificate", "Unable to parse the private key. Please ensure it is in PEM format and not encrypted.")
		}
		if err := checkChain(cert, k.Body.Chain); err != nil {
			return err
		}
		k.Body.Expires = cert.NotAfter.UTC()
		if all, err := serverCertificates.all(tx, c.Account()); err != nil {
			return err
		} else if len(all) > maxServerCertificates {
			return exceeded("Cannot exceed quota for ServerCertificatesPerAccount: %d", maxServerCertificates)
		}
		out = &iamapi.UploadServerCertificateResponse{ServerCertificateMetadata: certificateMetadata(k), Tags: apiTags(k.Tags)}
		c.Respond(out)
		return serverCertificates.put(tx, k)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkChain refuses a chain, in PEM form, in which a certificate is not signed by the next one, or whose first one
// has not signed the certificate that it belongs to, which has the index -1. Source: IAM User Guide, "Manage server
// certificates in IAM"; the text as reported by users.
func checkChain(cert *x509.Certificate, chain string) error {
	for i := -1; strings.TrimSpace(chain) != ""; i++ {
		issuer, err := parseCertificate(chain)
		if err != nil {
			return err
		}
		if cert.CheckSignatureFrom(issuer) != nil {
			return apierr.Newf("MalformedCertificate", "Unable to validate certificate chain. The certificate chain must start with the immediate signing "+
				"certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate is: %d", i)
		}
		_, rest := pem.Decode([]byte(chain))
		cert, chain = issuer, string(rest)
	}
	return nil
}

// GetServerCertificate shows a certificate.
func (s *Service) GetServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.GetServerCertificateRequest) (*iamapi.GetServerCertificateResponse, error) {
	out := &iamapi.GetServerCertificateResponse{}
	err := serverCertificates.read(ctx, s, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), func(_ store.Tx, k *kept[serverCertificate]) error {
		out.ServerCertificate = &iamapi.ServerCertificate{
			ServerCertificateMetadata: certificateMetadata(k), CertificateBody: &k.Body.Body, CertificateChain: api.Opt(k.Body.Chain), Tags: apiTags(k.Tags),
		}
		return nil
	})
	return out, err
}

// ListServerCertificates lists the certificates under a path by name.
func (s *Service) ListServerCertificates(ctx context.Context, c *guard.Call, in *iamapi.ListServerCertificatesRequest) (*iamapi.ListServerCertificatesResponse, error) {
	prefix := pathOf(in.PathPrefix)
	pg, err := s.page(c, prefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListServerCertificatesResponse{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "server-certificate", prefix); err != nil {
			return err
		}
		all, err := serverCertificates.all(tx, c.Account())
		all = drop(all, func(k kept[serverCertificate]) bool { return !strings.HasPrefix(k.Path, prefix) })
		shown, last := cut(pg, all, func(k kept[serverCertificate]) string { return fold(k.Name) })
		out.ServerCertificateMetadataList = []iamapi.ServerCertificateMetadata{}
		for _, k := range shown {
			out.ServerCertificateMetadataList = append(out.ServerCertificateMetadataList, *certificateMetadata(&k))
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return err
	})
	return out, err
}

// UpdateServerCertificate gives a certificate another name or path; the caller needs the right on it
// under both. Source: IAM API Reference, UpdateServerCertificate.
func (s *Service) UpdateServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.UpdateServerCertificateRequest) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := serverCertificates.authorized(s, tx, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), c.Operation, nil)
		if err != nil {
			return err
		}
		renamed := *k
		if in.NewServerCertificateName != nil {
			renamed.Name = *in.NewServerCertificateName
		}
		if in.NewPath != nil {
			renamed.Path = *in.NewPath
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: []authz.Part{serverCertificates.part(s, &renamed, c.Operation, nil)}}); err != nil {
			return err
		}
		if err := checkPath(renamed.Path); err != nil {
			return err
		}
		if other, taken, err := serverCertificates.table.Get(tx, k.Account, fold(renamed.Name)); err != nil {
			return err
		} else if taken && other.ID != k.ID {
			return apierr.Newf(codeExists, "The Server Certificate with name %s already exists.", renamed.Name)
		}
		if err := serverCertificates.delete(tx, k); err != nil {
			return err
		}
		return serverCertificates.put(tx, &renamed)
	})
}

// DeleteServerCertificate removes a certificate.
func (s *Service) DeleteServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.DeleteServerCertificateRequest) error {
	return serverCertificates.remove(ctx, s, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), nil)
}

// TagServerCertificate adds tags or replaces their values.
func (s *Service) TagServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.TagServerCertificateRequest) error {
	return serverCertificates.tag(ctx, s, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), in.Tags)
}

// UntagServerCertificate removes tags; unknown ones are no error.
func (s *Service) UntagServerCertificate(ctx context.Context, c *guard.Call, in *iamapi.UntagServerCertificateRequest) error {
	return serverCertificates.untag(ctx, s, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), in.TagKeys)
}

// ListServerCertificateTags lists a certificate's tags.
func (s *Service) ListServerCertificateTags(ctx context.Context, c *guard.Call, in *iamapi.ListServerCertificateTagsRequest) (*iamapi.ListServerCertificateTagsResponse, error) {
	var out iamapi.ListServerCertificateTagsResponse
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = serverCertificates.listTags(ctx, s, c, serverCertificates.named(c, api.Val(in.ServerCertificateName)), in.Marker, in.MaxItems)
	return &out, err
}
