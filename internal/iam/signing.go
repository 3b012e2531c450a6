package iam

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// signingCertificate is an X.509 certificate of a user for old SOAP interfaces.
type signingCertificate struct {
	ID       string    `json:"id"`
	Body     string    `json:"body"`
	Uploaded time.Time `json:"uploaded"`
	Inactive bool      `json:"inactive,omitempty"`
}

// maxSigning certificates a user may have. Source: IAM User Guide, "IAM and AWS STS quotas".
const maxSigning = 2

// drop is list without what fn finds.
func drop[T any](list []T, fn func(T) bool) []T { return slices.DeleteFunc(slices.Clone(list), fn) }

// parseCertificate reads one certificate in PEM form.
func parseCertificate(body string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(body))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, apierr.New("MalformedCertificate", "Unable to parse certificate. Please ensure the certificate is in PEM format.")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, apierr.New("MalformedCertificate", "Unable to parse certificate. Please ensure the certificate is in PEM format.")
	}
	return cert, nil
}

func (x *signingCertificate) show(o owner) *iamapi.SigningCertificate {
	return &iamapi.SigningCertificate{UserName: &o.name, CertificateId: &x.ID, CertificateBody: &x.Body, Status: activeText(x.Inactive), UploadDate: &x.Uploaded}
}

// certificateOf is a certificate of a user by id.
func (b *belongings) certificateOf(id *string) (*signingCertificate, error) {
	for i := range b.Certificates {
		if b.Certificates[i].ID == api.Val(id) {
			return &b.Certificates[i], nil
		}
	}
	return nil, noSuchEntity("The Certificate with id %s cannot be found.", api.Val(id))
}

// UploadSigningCertificate adds a certificate to a user, or to the caller.
func (s *Service) UploadSigningCertificate(ctx context.Context, c *guard.Call, in *iamapi.UploadSigningCertificateRequest) (*iamapi.UploadSigningCertificateResponse, error) {
	id := make([]byte, 20)
	rand.Read(id) // never fails
	out := &iamapi.UploadSigningCertificateResponse{}
	err := s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, o owner, b *belongings) error {
		cert, err := parseCertificate(api.Val(in.CertificateBody))
		if err != nil {
			return err
		}
		for _, have := range b.Certificates {
			if old, err := parseCertificate(have.Body); err == nil && old.Equal(cert) {
				return apierr.New("DuplicateCertificate", "The certificate is already associated with the user.")
			}
		}
		if len(b.Certificates) >= maxSigning {
			return exceeded("Cannot exceed quota for SigningCertificatesPerUser: %d", maxSigning)
		}
		x := signingCertificate{ID: base32.StdEncoding.EncodeToString(id), Body: api.Val(in.CertificateBody), Uploaded: s.now()}
		b.Certificates = append(b.Certificates, x)
		out.Certificate = x.show(o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListSigningCertificates lists the certificates of a user, or of the caller.
func (s *Service) ListSigningCertificates(ctx context.Context, c *guard.Call, in *iamapi.ListSigningCertificatesRequest) (*iamapi.ListSigningCertificatesResponse, error) {
	out := &iamapi.ListSigningCertificatesResponse{}
	err := s.readOwned(ctx, c, in.UserName, func(o owner, b belongings) (err error) {
		out.Certificates = []iamapi.SigningCertificate{}
		var shown []signingCertificate
		shown, out.IsTruncated, out.Marker, err = pageOwned(s, c, o, b.Certificates, func(x signingCertificate) string { return x.ID }, in.Marker, in.MaxItems)
		for _, x := range shown {
			out.Certificates = append(out.Certificates, *x.show(o))
		}
		return err
	})
	return out, err
}

// UpdateSigningCertificate makes a certificate active or inactive.
func (s *Service) UpdateSigningCertificate(ctx context.Context, c *guard.Call, in *iamapi.UpdateSigningCertificateRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, _ owner, b *belongings) error {
		x, err := b.certificateOf(in.CertificateId)
		if err != nil {
			return err
		}
		x.Inactive = api.Val(in.Status) == iamapi.StatusTypeInactive
		return checkStatus(in.Status)
	})
}

// DeleteSigningCertificate removes a certificate.
func (s *Service) DeleteSigningCertificate(ctx context.Context, c *guard.Call, in *iamapi.DeleteSigningCertificateRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(_ store.Tx, _ owner, b *belongings) error {
		x, err := b.certificateOf(in.CertificateId)
		if err != nil {
			return err
		}
		b.Certificates = drop(b.Certificates, func(y signingCertificate) bool { return y.ID == x.ID })
		return nil
	})
}
