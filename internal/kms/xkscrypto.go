package kms

import (
	"context"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// inStore completes a key with its key store. A key whose store is not connected is shown and
// treated as Unavailable, unless it waits for its deletion; what it is told to be meanwhile counts
// once the store is connected. Source: KMS Developer Guide, "Key states of AWS KMS keys".
func inStore(tx store.Tx, k *keyView) (resolved, error) {
	r := resolved{keyView: k}
	if k.Store == "" {
		return r, nil
	}
	st, found, err := storeTable.Get(tx, k.Region, k.Account, k.Store)
	if err != nil {
		return r, err
	}
	r.store = &st
	if found && st.State == kmsapi.ConnectionStateTypeCONNECTED || k.State == kmsapi.KeyStatePendingDeletion {
		return r, nil
	}
	v := *k
	v.state = kmsapi.KeyStateUnavailable // not that of the record, which may be saved
	r.keyView = &v
	return r, nil
}

// metadata is the key's KeyMetadata, with the state that it has because of its store.
func (r resolved) metadata() *kmsapi.KeyMetadata {
	m := r.keyRecord.metadata()
	state := r.rule().State
	m.KeyState, m.Enabled = &state, new(state == kmsapi.KeyStateEnabled)
	return m
}

// materialID is the KeyMaterialId of an answer; keys in external key stores have none.
func (sd *side) materialID(m hsm.Material) *string {
	if sd.key.Store != "" {
		return nil
	}
	return new(m.ID)
}

// note puts the material that was used on record. Source: KMS Developer Guide, "Examples of AWS KMS log entries".
func (sd *side) note(c *guard.Call, name string, m hsm.Material) {
	if sd.alg == symmetric && sd.key.Store == "" {
		c.Note(name, m.ID)
	}
}

// usableForPair is usable for data key pairs, which keys in custom key stores do not encrypt.
// Source: API Reference, GenerateDataKeyPair.
func (sd *side) usableForPair() error {
	if sd.key.Store != "" {
		return wrongOrigin(sd.key.keyRecord)
	}
	return sd.usable()
}

// outerVersion begins what toStore makes.
const outerVersion = 1

// proxyAAD is what a proxy binds a ciphertext to: the encryption context. The header of the
// ciphertext is bound by the layer below.
func (sd *side) proxyAAD() []byte { return sd.bound }

// toStore encrypts what the module encrypted once more, under the external key of a key in an
// external key store; what another key's side encrypted stays as it is.
// Source: KMS Developer Guide, "How external key stores work", double encryption.
func (s *Service) toStore(ctx context.Context, c *guard.Call, sd *side, raw []byte) ([]byte, error) {
	if sd.key.store == nil {
		return raw, nil
	}
	var sealed xks.Sealed
	err := s.ask(c, sd, func(p *xks.Proxy, m xks.RequestMetadata) (err error) {
		sealed, err = s.ekm.Encrypt(ctx, p, sd.key.XksKey, m, raw, sd.proxyAAD())
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 3+len(sealed.Metadata)+len(sealed.IV)+len(sealed.Tag)+len(sealed.Ciphertext))
	out = append(out, outerVersion, byte(len(sealed.Metadata)))
	out = append(out, sealed.Metadata...)
	out = append(out, byte(len(sealed.IV)))
	out = append(out, sealed.IV...)
	out = append(out, sealed.Tag...)
	return append(out, sealed.Ciphertext...), nil
}

// fromStore undoes toStore.
func (s *Service) fromStore(ctx context.Context, c *guard.Call, sd *side, body []byte) ([]byte, error) {
	if sd.key.store == nil {
		return body, nil
	}
	sealed, ok := openOuter(body)
	if !ok {
		return nil, errCiphertext
	}
	var raw []byte
	err := s.ask(c, sd, func(p *xks.Proxy, m xks.RequestMetadata) (err error) {
		raw, err = s.ekm.Decrypt(ctx, p, sd.key.XksKey, m, sealed, sd.proxyAAD())
		return err
	})
	return raw, err
}

// openOuter takes apart what toStore made.
func openOuter(body []byte) (s xks.Sealed, ok bool) {
	take := func(n int) (part []byte) {
		if ok = ok && len(body) >= n; ok {
			part, body = body[:n:n], body[n:]
		}
		return part
	}
	ok = true
	head := take(2)
	if !ok || head[0] != outerVersion || head[1] > xks.MaxMetadata {
		return s, false
	}
	s.Metadata = take(int(head[1]))
	size := take(1)
	if !ok || size[0] != 12 && size[0] != 16 {
		return s, false
	}
	s.IV, s.Tag = take(int(size[0])), take(xks.TagSize)
	s.Ciphertext = body
	return s, ok && len(body) > 0
}

// ask makes a request of the proxy of a key.
func (s *Service) ask(c *guard.Call, sd *side, request func(*xks.Proxy, xks.RequestMetadata) error) error {
	m := proxyMetadata(c)
	m.KeyARN = sd.key.arn
	if e := c.Caller.Endpoint; e != nil && !c.Caller.Forwarded() && c.Account() == sd.key.Account {
		m.SourceVPC, m.Endpoint = e.VPC, e.ID
	}
	c.Note("customKeyStoreId", sd.key.Store)
	c.Note("xksKeyId", sd.key.XksKey)
	p, err := s.proxyOf(sd.key.store)
	if err != nil {
		return err
	}
	end, err := s.traffic.begin(sd.key.Store)
	if err != nil {
		return err
	}
	defer end()
	return onUse(request(p, m))
}

// proxyMetadata is what every request to a proxy tells of the call. Source: XKS Proxy API
// Specification, "RequestMetadata".
func proxyMetadata(c *guard.Call) xks.RequestMetadata {
	return xks.RequestMetadata{Principal: c.Caller.Principal.ARN, Operation: c.Operation, RequestID: c.ID, Via: c.ViaService()}
}

// proxyOf is where the proxy of a store is, with the credential that it takes.
func (s *Service) proxyOf(st *storeRecord) (*xks.Proxy, error) {
	key, err := s.proofs.Open(st.Secret, []byte(store.Key(st.Region, st.Account, st.ID, st.AccessKeyID)))
	if err != nil {
		return nil, err
	}
	return &xks.Proxy{Endpoint: st.Endpoint, Path: st.Path, Region: st.Region, AccessKeyID: st.AccessKeyID, Secret: secret.String(key)}, nil
}

// checkStore refuses parameters of CreateKey that do not go together in a custom key store.
// Source: API Reference, CreateKey, CustomKeyStoreId and XksKeyId.
func (k *keyRecord) checkStore(in *kmsapi.CreateKeyRequest) error {
	inStore, inHSM := k.Origin == kmsapi.OriginTypeEXTERNAL_KEY_STORE, k.Origin == kmsapi.OriginTypeAWS_CLOUDHSM
	switch {
	case !inStore && in.XksKeyId != nil:
		return apierr.Validation("XksKeyId is valid only when the Origin is EXTERNAL_KEY_STORE.")
	case inHSM && in.CustomKeyStoreId == nil:
		return apierr.Validation("You must specify a CustomKeyStoreId when the Origin is AWS_CLOUDHSM.")
	case !inStore && !inHSM && in.CustomKeyStoreId != nil:
		return apierr.Validation("CustomKeyStoreId is valid only when the Origin is AWS_CLOUDHSM or EXTERNAL_KEY_STORE.")
	case !inStore:
		return nil
	case in.CustomKeyStoreId == nil:
		return apierr.Validation("You must specify a CustomKeyStoreId when the Origin is EXTERNAL_KEY_STORE.")
	case in.XksKeyId == nil:
		return apierr.Validation("You must specify an XksKeyId when the Origin is EXTERNAL_KEY_STORE.")
	case k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT:
		return apierr.Validation("KeySpec %s is not supported for Origin %s", k.Spec, k.Origin)
	case k.Multi != nil:
		return apierr.New("UnsupportedOperationException", "You cannot create a multi-Region key in a custom key store.")
	}
	return nil
}

// checkExternalKey asks the proxy whether the external key of a new key can be used.
// Source: API Reference, CreateKey, XksKeyId.
func (s *Service) checkExternalKey(ctx context.Context, c *guard.Call, k *keyRecord) error {
	var st storeRecord
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		st, err = k.destination(tx, c)
		return err
	})
	if err != nil {
		return err
	}
	p, err := s.proxyOf(&st)
	if err != nil {
		return err
	}
	m := proxyMetadata(c)
	m.KeyARN = k.arn()
	info, err := s.ekm.KeyMetadata(ctx, p, k.XksKey, m)
	switch {
	case err != nil:
		return onCreateKey(err)
	case !info.Usable():
		return apierr.New(codeXksKey, "The external key must be an enabled 256-bit AES key that supports encryption and decryption.")
	case info.Status != xks.Enabled:
		return apierr.New(codeXksKey, proxyVerdicts[xks.InvalidState].message)
	}
	return nil
}

// destination is the store that a new key goes into, if it can.
func (k *keyRecord) destination(tx store.Tx, c *guard.Call) (storeRecord, error) {
	st, err := findStore(tx, c, k.Store)
	if err != nil {
		return st, err
	}
	if k.Origin == kmsapi.OriginTypeAWS_CLOUDHSM {
		return st, errCloudHSM // no store here is of that type
	}
	if st.State != kmsapi.ConnectionStateTypeCONNECTED {
		return st, apierr.New(codeStoreState, keyrule.NotConnected)
	}
	_, used, err := xksKeyTable.Get(tx, k.Region, k.Account, k.Store, k.XksKey)
	if err == nil && used {
		err = apierr.New("XksKeyAlreadyInUseException", "The external key is already associated with another KMS key in this external key store.")
	}
	return st, err
}

// enter puts a new key into its store.
func (k *keyRecord) enter(tx store.Tx, c *guard.Call) error {
	if _, err := k.destination(tx, c); err != nil {
		return err
	}
	return xksKeyTable.Put(tx, k.ID, k.Region, k.Account, k.Store, k.XksKey)
}
