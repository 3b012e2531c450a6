package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// oidc is an OpenID Connect provider: an issuer of web identity tokens and for whom they may be.
type oidc struct {
	Clients     []string `json:"clients,omitempty"`
	Thumbprints []string `json:"thumbprints,omitempty"`
}

var oidcProviders = shelf[oidc]{
	table: store.Table[kept[oidc]]{Bucket: "iam/oidc", Version: 1}, noun: "oidc-provider", trail: "AWS::IAM::OIDCProvider",
	missing: func(k *kept[oidc]) error {
		return noSuchEntity("OpenIDConnect Provider not found for arn arn:aws:iam::%s:oidc-provider/%s", k.Account, k.Name)
	},
}

// Quotas. Source: IAM User Guide, "IAM and AWS STS quotas".
const (
	maxClients     = 100
	maxThumbprints = 5
	maxProviders   = 100 // of an account, and as many SAML providers
)

func oidcByARN(providerARN *string) (*kept[oidc], error) {
	if k := oidcProviders.byARN(api.Val(providerARN)); k != nil {
		return k, nil
	}
	return nil, apierr.Newf(codeInvalid, "Invalid ARN: %s", api.Val(providerARN))
}

// CreateOpenIDConnectProvider makes the issuer at a URL known to the account.
// Source: IAM API Reference, CreateOpenIDConnectProvider.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.CreateOpenIDConnectProviderRequest) (*iamapi.CreateOpenIDConnectProviderResponse, error) {
	u, err := url.Parse(api.Val(in.Url))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, apierr.New("ValidationError", "Invalid Open ID Connect Provider URL")
	}
	name := strings.TrimSuffix(u.Host+u.Path, "/")
	var out *iamapi.CreateOpenIDConnectProviderResponse
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		k := oidcProviders.named(c, name)
		k.Created, k.Body = s.now(), oidc{unique(in.ClientIDList), unique(in.ThumbprintList)}
		if err := checkOIDC(&k.Body); err != nil {
			return err
		}
		taken := apierr.Newf(codeExists, "Provider with url https://%s already exists.", name)
		if err := oidcProviders.create(s, tx, c, k, in.Tags, "TagOpenIDConnectProvider", taken); err != nil {
			return err
		}
		if all, err := oidcProviders.all(tx, c.Account()); err != nil {
			return err
		} else if len(all) > maxProviders {
			return exceeded("Cannot exceed quota for OpenIdConnectProvidersPerAccount: %d", maxProviders)
		}
		out = &iamapi.CreateOpenIDConnectProviderResponse{OpenIDConnectProviderArn: new(oidcProviders.arn(k)), Tags: apiTags(k.Tags)}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func checkOIDC(o *oidc) error {
	switch {
	case len(o.Thumbprints) > maxThumbprints:
		return apierr.Newf(codeInvalid, "Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	case len(o.Clients) > maxClients:
		return exceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", maxClients)
	}
	return nil
}

// unique keeps the order and drops what is there twice.
func unique(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// GetOpenIDConnectProvider describes a provider.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.GetOpenIDConnectProviderRequest) (*iamapi.GetOpenIDConnectProviderResponse, error) {
	k, err := oidcByARN(in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	out := &iamapi.GetOpenIDConnectProviderResponse{}
	err = oidcProviders.read(ctx, s, c, k, func(_ store.Tx, k *kept[oidc]) error {
		out.Url, out.CreateDate, out.Tags = &k.Name, &k.Created, apiTags(k.Tags)
		out.ClientIDList, out.ThumbprintList = append([]string{}, k.Body.Clients...), append([]string{}, k.Body.Thumbprints...)
		return nil
	})
	return out, err
}

// ListOpenIDConnectProviders lists the account's providers.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, c *guard.Call, _ *iamapi.ListOpenIDConnectProvidersRequest) (*iamapi.ListOpenIDConnectProvidersResponse, error) {
	out := &iamapi.ListOpenIDConnectProvidersResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "oidc-provider", ""); err != nil {
			return err
		}
		all, err := oidcProviders.all(tx, c.Account())
		out.OpenIDConnectProviderList = []iamapi.OpenIDConnectProviderListEntry{}
		for _, k := range all {
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, iamapi.OpenIDConnectProviderListEntry{Arn: new(oidcProviders.arn(&k))})
		}
		return err
	})
	return out, err
}

// DeleteOpenIDConnectProvider removes a provider; that it is not there is no error.
// Source: IAM API Reference, DeleteOpenIDConnectProvider.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.DeleteOpenIDConnectProviderRequest) error {
	k, err := oidcByARN(in.OpenIDConnectProviderArn)
	if err != nil {
		return err
	}
	return oidcProviders.discard(ctx, s, c, k)
}

// changeOIDC edits a provider within its quotas.
func (s *Service) changeOIDC(ctx context.Context, c *guard.Call, providerARN *string, fn func(*oidc)) error {
	k, err := oidcByARN(providerARN)
	if err != nil {
		return err
	}
	return oidcProviders.change(ctx, s, c, k, nil, func(_ store.Tx, k *kept[oidc]) error {
		fn(&k.Body)
		return checkOIDC(&k.Body)
	})
}

// AddClientIDToOpenIDConnectProvider adds an audience; a second time changes nothing.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.AddClientIDToOpenIDConnectProviderRequest) error {
	return s.changeOIDC(ctx, c, in.OpenIDConnectProviderArn, func(o *oidc) { o.Clients = unique(append(o.Clients, api.Val(in.ClientID))) })
}

// RemoveClientIDFromOpenIDConnectProvider removes an audience; an unknown one is no error.
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.RemoveClientIDFromOpenIDConnectProviderRequest) error {
	return s.changeOIDC(ctx, c, in.OpenIDConnectProviderArn, func(o *oidc) {
		o.Clients = slices.DeleteFunc(o.Clients, func(id string) bool { return id == api.Val(in.ClientID) })
	})
}

// UpdateOpenIDConnectProviderThumbprint replaces the thumbprints.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, c *guard.Call, in *iamapi.UpdateOpenIDConnectProviderThumbprintRequest) error {
	return s.changeOIDC(ctx, c, in.OpenIDConnectProviderArn, func(o *oidc) { o.Thumbprints = unique(in.ThumbprintList) })
}

// TagOpenIDConnectProvider adds tags or replaces their values.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.TagOpenIDConnectProviderRequest) error {
	k, err := oidcByARN(in.OpenIDConnectProviderArn)
	if err != nil {
		return err
	}
	return oidcProviders.tag(ctx, s, c, k, in.Tags)
}

// UntagOpenIDConnectProvider removes tags; unknown ones are no error.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, c *guard.Call, in *iamapi.UntagOpenIDConnectProviderRequest) error {
	k, err := oidcByARN(in.OpenIDConnectProviderArn)
	if err != nil {
		return err
	}
	return oidcProviders.untag(ctx, s, c, k, in.TagKeys)
}

// ListOpenIDConnectProviderTags lists a provider's tags.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, c *guard.Call, in *iamapi.ListOpenIDConnectProviderTagsRequest) (*iamapi.ListOpenIDConnectProviderTagsResponse, error) {
	k, err := oidcByARN(in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	var out iamapi.ListOpenIDConnectProviderTagsResponse
	out.Tags, out.IsTruncated, out.Marker, err = oidcProviders.listTags(ctx, s, c, k, in.Marker, in.MaxItems)
	return &out, err
}

// An Issuer is what STS has to know of an OpenID Connect provider.
type Issuer struct {
	ARN     string
	Clients []string // the audiences that it may issue tokens for
}

// FindIssuer is the account's provider for an issuer, a URL without its scheme.
func (s *Service) FindIssuer(tx store.Tx, account, issuer string) (Issuer, bool, error) {
	k, ok, err := oidcProviders.table.Get(tx, account, strings.ToLower(issuer))
	return Issuer{oidcProviders.arn(&k), k.Body.Clients}, ok, err
}
