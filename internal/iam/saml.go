package iam

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/saml"
	"github.com/kagimori/kagimori/internal/store"
)

// samlBody is a SAML 2.0 identity provider.
type samlBody struct {
	Metadata string    `json:"metadata"`
	Until    time.Time `json:"until"`
	Mode     string    `json:"mode,omitempty"` // of assertion encryption
}

var samlProviders = shelf[samlBody]{
	table: store.Table[kept[samlBody]]{Bucket: "iam/saml", Version: 1}, noun: "saml-provider", trail: "AWS::IAM::SAMLProvider",
	missing: func(k *kept[samlBody]) error {
		return noSuchEntity("Manifest not found for arn arn:aws:iam::%s:saml-provider/%s", k.Account, k.Name)
	},
}

func samlByARN(providerARN *string) (*kept[samlBody], error) {
	if k := samlProviders.byARN(api.Val(providerARN)); k != nil {
		return k, nil
	}
	return nil, apierr.Newf(codeInvalid, "Invalid SAML provider ARN: %s", api.Val(providerARN))
}

// setMetadata reads a metadata document. One that names no end is good for a hundred years.
func (b *samlBody) setMetadata(doc string, now time.Time) error {
	m, err := saml.ReadMetadata(doc)
	if err != nil {
		return apierr.New(codeInvalid, "Could not parse metadata")
	}
	b.Metadata, b.Until = doc, now.AddDate(100, 0, 0)
	if !m.Until.IsZero() {
		b.Until = m.Until.Truncate(time.Second)
	}
	return nil
}

// A SAMLIssuer is what STS has to know of a SAML provider.
type SAMLIssuer struct {
	ARN      string
	Metadata saml.Metadata
	Until    time.Time
}

// FindSAMLIssuer is the SAML provider of an ARN.
func (s *Service) FindSAMLIssuer(tx store.Tx, providerARN string) (SAMLIssuer, bool, error) {
	k := samlProviders.byARN(providerARN)
	if k == nil {
		return SAMLIssuer{}, false, nil
	}
	found, ok, err := samlProviders.table.Get(tx, k.Account, fold(k.Name))
	if err != nil || !ok || samlProviders.arn(&found) != providerARN {
		return SAMLIssuer{}, false, err
	}
	m, err := saml.ReadMetadata(found.Body.Metadata)
	if err != nil { // what an earlier kagimori took: it has no keys
		return SAMLIssuer{ARN: providerARN, Until: found.Body.Until}, true, nil
	}
	return SAMLIssuer{ARN: providerARN, Metadata: m, Until: found.Body.Until}, true, nil
}

// noPrivateKeys refuses keys for encrypted assertions, which kagimori does not read.
func noPrivateKeys() error {
	return apierr.New(codeInvalid, "kagimori does not keep private keys of SAML providers: it does not read encrypted assertions.")
}

// CreateSAMLProvider makes an identity provider known to the account by its metadata.
func (s *Service) CreateSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.CreateSAMLProviderRequest) (*iamapi.CreateSAMLProviderResponse, error) {
	if in.AddPrivateKey != nil {
		return nil, noPrivateKeys()
	}
	var out *iamapi.CreateSAMLProviderResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		k := samlProviders.named(c, api.Val(in.Name))
		k.ID, k.Created, k.Body.Mode = directory.NewID("SAML"), s.now(), api.Val(in.AssertionEncryptionMode)
		if err := k.Body.setMetadata(api.Val(in.SAMLMetadataDocument), s.now()); err != nil {
			return err
		}
		taken := apierr.Newf(codeExists, "SAMLProvider with name %s already exists.", k.Name)
		if err := samlProviders.create(s, tx, c, k, in.Tags, "TagSAMLProvider", taken); err != nil {
			return err
		}
		if all, err := samlProviders.all(tx, c.Account()); err != nil {
			return err
		} else if len(all) > maxProviders {
			return exceeded("Cannot exceed quota for SAMLProvidersPerAccount: %d", maxProviders)
		}
		out = &iamapi.CreateSAMLProviderResponse{SAMLProviderArn: new(samlProviders.arn(k)), Tags: apiTags(k.Tags)}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateSAMLProvider replaces the metadata.
func (s *Service) UpdateSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.UpdateSAMLProviderRequest) (*iamapi.UpdateSAMLProviderResponse, error) {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	if in.AddPrivateKey != nil || in.RemovePrivateKey != nil {
		return nil, noPrivateKeys()
	}
	err = samlProviders.change(ctx, s, c, k, nil, func(_ store.Tx, k *kept[samlBody]) error {
		if in.AssertionEncryptionMode != nil {
			k.Body.Mode = *in.AssertionEncryptionMode
		}
		if in.SAMLMetadataDocument == nil {
			return nil
		}
		return k.Body.setMetadata(*in.SAMLMetadataDocument, s.now())
	})
	return &iamapi.UpdateSAMLProviderResponse{SAMLProviderArn: in.SAMLProviderArn}, err
}

// GetSAMLProvider describes a provider with its metadata.
func (s *Service) GetSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.GetSAMLProviderRequest) (*iamapi.GetSAMLProviderResponse, error) {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	out := &iamapi.GetSAMLProviderResponse{}
	err = samlProviders.read(ctx, s, c, k, func(_ store.Tx, k *kept[samlBody]) error {
		out.SAMLProviderUUID, out.SAMLMetadataDocument, out.CreateDate, out.ValidUntil = &k.ID, &k.Body.Metadata, &k.Created, &k.Body.Until
		out.Tags, out.AssertionEncryptionMode = apiTags(k.Tags), api.Opt(k.Body.Mode)
		return nil
	})
	return out, err
}

// ListSAMLProviders lists the account's providers.
func (s *Service) ListSAMLProviders(ctx context.Context, c *guard.Call, _ *iamapi.ListSAMLProvidersRequest) (*iamapi.ListSAMLProvidersResponse, error) {
	out := &iamapi.ListSAMLProvidersResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "saml-provider", ""); err != nil {
			return err
		}
		all, err := samlProviders.all(tx, c.Account())
		out.SAMLProviderList = []iamapi.SAMLProviderListEntry{}
		for _, k := range all {
			out.SAMLProviderList = append(out.SAMLProviderList, iamapi.SAMLProviderListEntry{
				Arn: new(samlProviders.arn(&k)), ValidUntil: &k.Body.Until, CreateDate: &k.Created,
			})
		}
		return err
	})
	return out, err
}

// DeleteSAMLProvider removes a provider.
func (s *Service) DeleteSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.DeleteSAMLProviderRequest) error {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return err
	}
	return samlProviders.remove(ctx, s, c, k, nil)
}

// TagSAMLProvider adds tags or replaces their values.
func (s *Service) TagSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.TagSAMLProviderRequest) error {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return err
	}
	return samlProviders.tag(ctx, s, c, k, in.Tags)
}

// UntagSAMLProvider removes tags; unknown ones are no error.
func (s *Service) UntagSAMLProvider(ctx context.Context, c *guard.Call, in *iamapi.UntagSAMLProviderRequest) error {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return err
	}
	return samlProviders.untag(ctx, s, c, k, in.TagKeys)
}

// ListSAMLProviderTags lists a provider's tags.
func (s *Service) ListSAMLProviderTags(ctx context.Context, c *guard.Call, in *iamapi.ListSAMLProviderTagsRequest) (*iamapi.ListSAMLProviderTagsResponse, error) {
	k, err := samlByARN(in.SAMLProviderArn)
	if err != nil {
		return nil, err
	}
	var out iamapi.ListSAMLProviderTagsResponse
	out.Tags, out.IsTruncated, out.Marker, err = samlProviders.listTags(ctx, s, c, k, in.Marker, in.MaxItems)
	return &out, err
}
