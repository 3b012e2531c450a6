package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// maxStores is how many custom key stores an account has in a Region. Source: KMS Developer Guide,
// "Resource quotas".
const maxStores = 10

// errCloudHSM is what everything about AWS CloudHSM gets.
var errCloudHSM = apierr.New("UnsupportedOperationException",
	"kagimori has no AWS CloudHSM clusters; it supports custom key stores of the type EXTERNAL_KEY_STORE.")

// A storeRecord is a custom key store of the type EXTERNAL_KEY_STORE.
type storeRecord struct {
	ID           string    `json:"id"`
	Region       string    `json:"region"`
	Account      string    `json:"account"`
	Name         string    `json:"name"`
	Created      time.Time `json:"created"`
	State        string    `json:"state"`             // ConnectionState
	Error        string    `json:"error,omitempty"`   // ConnectionErrorCode, while FAILED
	Attempt      int       `json:"attempt,omitempty"` // number of the newest attempt to connect
	Connectivity string    `json:"connectivity"`
	Endpoint     string    `json:"endpoint"`
	Path         string    `json:"path"`
	Service      string    `json:"service,omitempty"`      // XksProxyVpcEndpointServiceName
	ServiceOwner string    `json:"serviceOwner,omitempty"` // its account
	AccessKeyID  string    `json:"accessKeyId"`
	Secret       []byte    `json:"secret"` // sealed
}

func (st *storeRecord) put(tx store.Tx) error {
	return storeTable.Put(tx, *st, st.Region, st.Account, st.ID)
}

// private reports whether the proxy is behind a VPC endpoint service.
func (st *storeRecord) private() bool {
	return st.Connectivity == kmsapi.XksProxyConnectivityTypeVPC_ENDPOINT_SERVICE
}

// entry is the store as DescribeCustomKeyStores shows it.
func (st *storeRecord) entry() kmsapi.CustomKeyStoresListEntry {
	e := kmsapi.CustomKeyStoresListEntry{
		CustomKeyStoreId: &st.ID, CustomKeyStoreName: &st.Name, ConnectionState: &st.State, CreationDate: &st.Created,
		CustomKeyStoreType: new(kmsapi.CustomKeyStoreTypeEXTERNAL_KEY_STORE),
		XksProxyConfiguration: &kmsapi.XksProxyConfigurationType{
			Connectivity: &st.Connectivity, AccessKeyId: new(secret.String(st.AccessKeyID)), UriEndpoint: &st.Endpoint, UriPath: &st.Path,
		},
	}
	if st.Error != "" {
		e.ConnectionErrorCode = &st.Error
	}
	if st.private() {
		e.XksProxyConfiguration.VpcEndpointServiceName, e.XksProxyConfiguration.VpcEndpointServiceOwner = &st.Service, &st.ServiceOwner
	}
	return e
}

// findStore reads a store of the caller's account and Region.
func findStore(tx store.Tx, c *guard.Call, id string) (storeRecord, error) {
	st, found, err := storeTable.Get(tx, c.Region, c.Account(), id)
	if err == nil && !found {
		err = apierr.Newf("CustomKeyStoreNotFoundException", "There is no custom key store with the ID %s.", id)
	}
	return st, err
}

// An xksSettings is what CreateCustomKeyStore and UpdateCustomKeyStore say of a proxy; nil is
// unsaid.
type xksSettings struct {
	connectivity, endpoint, path, service, owner *string
	credential                                   *kmsapi.XksProxyAuthenticationCredentialType
}

// missing names what a new store needs and is not said.
func (set *xksSettings) missing() string {
	switch {
	case set.connectivity == nil:
		return "XksProxyConnectivity"
	case set.endpoint == nil:
		return "XksProxyUriEndpoint"
	case set.path == nil:
		return "XksProxyUriPath"
	case set.credential == nil:
		return "XksProxyAuthenticationCredential"
	}
	return ""
}

// CreateCustomKeyStore makes an external key store, which is not connected yet. Its proxy has to
// answer. Source: API Reference, CreateCustomKeyStore.
func (s *Service) CreateCustomKeyStore(ctx context.Context, c *guard.Call, in *kmsapi.CreateCustomKeyStoreRequest) (*kmsapi.CreateCustomKeyStoreResponse, error) {
	st := &storeRecord{
		ID: newStoreID(), Region: c.Region, Account: c.Account(), Name: *in.CustomKeyStoreName,
		Created: s.g.Now().Truncate(time.Millisecond), State: kmsapi.ConnectionStateTypeDISCONNECTED,
	}
	err := s.g.View(ctx, c, func(tx store.Tx) error { return s.allowAny(tx, c, "kms:CreateCustomKeyStore") })
	if err != nil {
		return nil, err
	}
	if api.Val(in.CustomKeyStoreType) != kmsapi.CustomKeyStoreTypeEXTERNAL_KEY_STORE {
		return nil, errCloudHSM
	}
	if in.CloudHsmClusterId != nil || in.KeyStorePassword != nil || in.TrustAnchorCertificate != nil {
		return nil, apierr.Validation("CloudHsmClusterId, KeyStorePassword and TrustAnchorCertificate are not valid for an external key store.")
	}
	set := xksSettings{in.XksProxyConnectivity, in.XksProxyUriEndpoint, in.XksProxyUriPath, in.XksProxyVpcEndpointServiceName,
		in.XksProxyVpcEndpointServiceOwner, in.XksProxyAuthenticationCredential}
	if name := set.missing(); name != "" {
		return nil, apierr.Validation("%s is required for an external key store.", name)
	}
	if err := s.apply(st, &set); err != nil {
		return nil, err
	}
	if err := s.probe(ctx, c, st); err != nil {
		return nil, onStore(err)
	}
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowAny(tx, c, "kms:CreateCustomKeyStore"); err != nil {
			return err
		}
		if err := st.checkUnique(tx, true); err != nil {
			return err
		}
		c.Respond(&kmsapi.CreateCustomKeyStoreResponse{CustomKeyStoreId: &st.ID})
		return st.put(tx)
	})
	if err != nil {
		return nil, err
	}
	return &kmsapi.CreateCustomKeyStoreResponse{CustomKeyStoreId: &st.ID}, nil
}

// newStoreID makes the id of a custom key store.
func newStoreID() string {
	var b [9]byte
	rand.Read(b[:])
	return "cks-" + hex.EncodeToString(b[:])[:17]
}

// apply sets what is said of the proxy and checks that it goes together.
func (s *Service) apply(st *storeRecord, set *xksSettings) error {
	for _, f := range []struct {
		to   *string
		from *string
	}{{&st.Connectivity, set.connectivity}, {&st.Endpoint, set.endpoint}, {&st.Path, set.path}, {&st.Service, set.service}, {&st.ServiceOwner, set.owner}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	switch {
	case !st.private() && (set.service != nil || set.owner != nil):
		return apierr.Validation("XksProxyVpcEndpointServiceName and XksProxyVpcEndpointServiceOwner are valid only when XksProxyConnectivity is VPC_ENDPOINT_SERVICE.")
	case st.private() && st.Service == "":
		return apierr.Validation("XksProxyVpcEndpointServiceName is required when XksProxyConnectivity is VPC_ENDPOINT_SERVICE.")
	case !st.private():
		st.Service, st.ServiceOwner = "", ""
	case st.ServiceOwner == "":
		st.ServiceOwner = st.Account
	}
	if set.credential != nil {
		st.AccessKeyID = set.credential.AccessKeyId.Reveal()
		aad := []byte(store.Key(st.Region, st.Account, st.ID, st.AccessKeyID))
		st.Secret = s.proofs.Seal([]byte(set.credential.RawSecretAccessKey.Reveal()), aad)
	}
	return nil
}

// probe asks the proxy of a store for its health, which shows that address and credential are good.
func (s *Service) probe(ctx context.Context, c *guard.Call, st *storeRecord) error {
	p, err := s.proxyOf(st)
	if err == nil {
		_, err = s.ekm.Health(ctx, p, xks.RequestMetadata{Operation: c.Operation, RequestID: c.ID})
	}
	return err
}

// checkUnique refuses a store that shares what stores of an account and Region may not share, or is
// one too many. Source: API Reference, CreateCustomKeyStore, Errors and XksProxyUriEndpoint.
func (st *storeRecord) checkUnique(tx store.Tx, isNew bool) error {
	n := 0
	for r, err := range storeTable.Scan(tx, st.Region, st.Account) {
		if err != nil {
			return err
		}
		o := &r.Value
		n++
		switch {
		case o.ID == st.ID:
		case o.Name == st.Name:
			return apierr.Newf("CustomKeyStoreNameInUseException", "The custom key store name %s is already in use.", st.Name)
		case o.Endpoint == st.Endpoint && o.Path == st.Path:
			return apierr.New("XksProxyUriInUseException", "The XksProxyUriEndpoint and XksProxyUriPath are already associated with another external key store in this Region.")
		case o.Endpoint == st.Endpoint && (o.private() || st.private()):
			return apierr.New("XksProxyUriEndpointInUseException", "The XksProxyUriEndpoint is already associated with another external key store in this Region.")
		case st.private() && o.Service == st.Service:
			return apierr.New("XksProxyVpcEndpointServiceInUseException", "The VPC endpoint service is already associated with another external key store in this Region.")
		}
	}
	if isNew && n >= maxStores {
		return apierr.Newf("LimitExceededException", "You cannot have more than %d custom key stores.", maxStores)
	}
	return nil
}

// DescribeCustomKeyStores lists the custom key stores of the account and Region, or one of them.
// Source: API Reference, DescribeCustomKeyStores.
func (s *Service) DescribeCustomKeyStores(ctx context.Context, c *guard.Call, in *kmsapi.DescribeCustomKeyStoresRequest) (*kmsapi.DescribeCustomKeyStoresResponse, error) {
	if in.CustomKeyStoreId != nil && in.CustomKeyStoreName != nil {
		return nil, apierr.Validation("You can specify CustomKeyStoreId or CustomKeyStoreName, but not both.")
	}
	pg, err := s.page(in.Marker, in.Limit, 100, 1000, c.Region, c.Account())
	if err != nil {
		return nil, err
	}
	keep := func(r store.Record[storeRecord]) bool {
		return (in.CustomKeyStoreId == nil || r.Value.ID == *in.CustomKeyStoreId) && (in.CustomKeyStoreName == nil || r.Value.Name == *in.CustomKeyStoreName)
	}
	var out *kmsapi.DescribeCustomKeyStoresResponse
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAny(tx, c, "kms:DescribeCustomKeyStores"); err != nil {
			return err
		}
		out = &kmsapi.DescribeCustomKeyStoresResponse{CustomKeyStores: []kmsapi.CustomKeyStoresListEntry{}}
		stores, next, err := list(tx, storeTable, pg, keep)
		if err != nil {
			return err
		}
		for i := range stores {
			out.CustomKeyStores = append(out.CustomKeyStores, stores[i].entry())
		}
		if len(stores) == 0 && (in.CustomKeyStoreId != nil || in.CustomKeyStoreName != nil) {
			return apierr.Newf("CustomKeyStoreNotFoundException", "There is no custom key store %s.", api.Val(in.CustomKeyStoreId)+api.Val(in.CustomKeyStoreName))
		}
		out.Truncated, out.NextMarker = s.more(next)
		return nil
	})
	return out, err
}
