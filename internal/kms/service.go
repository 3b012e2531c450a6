package kms

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/kms/attest"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/xks"
)

// Config of a [Service].
type Config struct {
	Guard  *guard.Guard
	Module hsm.Module
	Clock  *clock.Clock
	Logger *slog.Logger
	// External asks external key store proxies; nil asks those that the public internet reaches.
	External *xks.Client
	// Wall is the time that requests to external key store proxies are counted by; nil is time.Now.
	Wall func() time.Time
	// Attest verifies attestation documents; nil believes AWS's.
	Attest *attest.Verifier
	// Cache bounds the keys that are ready for decisions in memory; 0 is 4096.
	Cache int
	// CustomIDs lets the tag _custom_id_ on CreateKey fix the key id, for tests.
	CustomIDs bool
	// Destroyed is told that key material was removed, which is to be made final (see [Pending]).
	Destroyed func()
	// Background is the context of work that nobody asked for, not ok if another node does it; nil is
	// that this one always does.
	Background func() (context.Context, bool)
}

// A Service is KMS for all accounts and regions. Safe for concurrent use.
type Service struct {
	g         *guard.Guard
	dir       *directory.Directory
	hsm       hsm.Module
	clock     *clock.Clock
	log       *slog.Logger
	custom    bool
	destroyed func()
	// background is that of the config.
	background func() (context.Context, bool)
	tokens     hsm.Box // grant tokens
	marks      hsm.Box // list markers
	ekm        *xks.Client
	wall       func() time.Time
	traffic    *traffic
	health     health
	proofs     hsm.Box      // credentials for external key store proxies
	docs       *authz.Cache // compiled key policies by their text
	keys       *store.Cached[keyRecord, *keyView]
	alarm      alarm // for automatic rotation
	deletions  alarm
	uses       *uses
	attest     *attest.Verifier
	absent     func(aliasARN string) [16]byte // the key id of an alias that another account does not have
}

const (
	// documentCache bounds the key policies that are kept compiled; keys with the same text share one.
	documentCache = 10000
	defaultCache  = 4096
)

// New makes a Service. Call Start before serving.
func New(cfg Config) *Service {
	s := &Service{
		g: cfg.Guard, dir: cfg.Guard.Directory(), hsm: cfg.Module, clock: cfg.Clock, log: cfg.Logger, custom: cfg.CustomIDs, destroyed: cfg.Destroyed,
		tokens: cfg.Module.Box("kms grant token"), marks: cfg.Module.Box("kms marker"),
		ekm: cfg.External, attest: cfg.Attest, proofs: cfg.Module.Box("kms external key store credential"),
		absent: cfg.Module.Pseudonyms("kms alias"),
	}
	if s.background = cfg.Background; s.background == nil {
		s.background = func() (context.Context, bool) { return context.Background(), true }
	}
	if s.wall = cfg.Wall; s.wall == nil {
		s.wall = time.Now
	}
	s.traffic, s.health.failed = newTraffic(s.wall), map[string]bool{}
	if s.attest == nil {
		s.attest = attest.NewVerifier(nil)
	}
	if s.ekm == nil {
		s.ekm = xks.NewClient(xks.ClientConfig{})
	}
	s.uses = newUses(s.g, s.clock, s.log)
	s.docs = authz.NewCache(documentCache)
	s.keys = store.NewCachedView(s.sharingTable(), cmp.Or(cfg.Cache, defaultCache), newKeyBlock, s.buildKept)
	return s
}

// Operations are the handlers of the service.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateKey":                           guard.Handle(s.CreateKey),
		"DescribeKey":                         guard.Handle(s.DescribeKey),
		"ListKeys":                            guard.Handle(s.ListKeys),
		"UpdateKeyDescription":                guard.HandleVoid(s.UpdateKeyDescription),
		"EnableKey":                           guard.HandleVoid(s.EnableKey),
		"DisableKey":                          guard.HandleVoid(s.DisableKey),
		"ScheduleKeyDeletion":                 guard.Handle(s.ScheduleKeyDeletion),
		"CancelKeyDeletion":                   guard.Handle(s.CancelKeyDeletion),
		"EnableKeyRotation":                   guard.HandleVoid(s.EnableKeyRotation),
		"DisableKeyRotation":                  guard.HandleVoid(s.DisableKeyRotation),
		"GetParametersForImport":              guard.Handle(s.GetParametersForImport),
		"ImportKeyMaterial":                   guard.Handle(s.ImportKeyMaterial),
		"DeleteImportedKeyMaterial":           guard.Handle(s.DeleteImportedKeyMaterial),
		"ReplicateKey":                        guard.Handle(s.ReplicateKey),
		"UpdatePrimaryRegion":                 guard.HandleVoid(s.UpdatePrimaryRegion),
		"RotateKeyOnDemand":                   guard.Handle(s.RotateKeyOnDemand),
		"ListKeyRotations":                    guard.Handle(s.ListKeyRotations),
		"GetKeyRotationStatus":                guard.Handle(s.GetKeyRotationStatus),
		"GetKeyLastUsage":                     guard.Handle(s.GetKeyLastUsage),
		"GetKeyPolicy":                        guard.Handle(s.GetKeyPolicy),
		"PutKeyPolicy":                        guard.HandleVoid(s.PutKeyPolicy),
		"ListKeyPolicies":                     guard.Handle(s.ListKeyPolicies),
		"CreateAlias":                         guard.HandleVoid(s.CreateAlias),
		"UpdateAlias":                         guard.HandleVoid(s.UpdateAlias),
		"DeleteAlias":                         guard.HandleVoid(s.DeleteAlias),
		"ListAliases":                         guard.Handle(s.ListAliases),
		"TagResource":                         guard.HandleVoid(s.TagResource),
		"UntagResource":                       guard.HandleVoid(s.UntagResource),
		"ListResourceTags":                    guard.Handle(s.ListResourceTags),
		"Encrypt":                             guard.Handle(s.Encrypt),
		"Decrypt":                             guard.Handle(s.Decrypt),
		"ReEncrypt":                           guard.Handle(s.ReEncrypt),
		"GenerateDataKey":                     guard.Handle(s.GenerateDataKey),
		"GenerateDataKeyWithoutPlaintext":     guard.Handle(s.GenerateDataKeyWithoutPlaintext),
		"GenerateRandom":                      guard.Handle(s.GenerateRandom),
		"GetPublicKey":                        guard.Handle(s.GetPublicKey),
		"Sign":                                guard.Handle(s.Sign),
		"Verify":                              guard.Handle(s.Verify),
		"GenerateMac":                         guard.Handle(s.GenerateMac),
		"VerifyMac":                           guard.Handle(s.VerifyMac),
		"DeriveSharedSecret":                  guard.Handle(s.DeriveSharedSecret),
		"Encapsulate":                         guard.Handle(s.Encapsulate),
		"Decapsulate":                         guard.Handle(s.Decapsulate),
		"GenerateDataKeyPair":                 guard.Handle(s.GenerateDataKeyPair),
		"GenerateDataKeyPairWithoutPlaintext": guard.Handle(s.GenerateDataKeyPairWithoutPlaintext),
		"CreateCustomKeyStore":                guard.Handle(s.CreateCustomKeyStore),
		"DescribeCustomKeyStores":             guard.Handle(s.DescribeCustomKeyStores),
		"ConnectCustomKeyStore":               guard.Handle(s.ConnectCustomKeyStore),
		"DisconnectCustomKeyStore":            guard.Handle(s.DisconnectCustomKeyStore),
		"UpdateCustomKeyStore":                guard.Handle(s.UpdateCustomKeyStore),
		"DeleteCustomKeyStore":                guard.Handle(s.DeleteCustomKeyStore),
		"CreateGrant":                         guard.Handle(s.CreateGrant),
		"ListGrants":                          guard.Handle(s.ListGrants),
		"ListRetirableGrants":                 guard.Handle(s.ListRetirableGrants),
		"RevokeGrant":                         guard.HandleVoid(s.RevokeGrant),
		"RetireGrant":                         guard.HandleVoid(s.RetireGrant),
	}
}

// part is the evaluation of an action on a key, grants aside.
func (k *keyView) part(c *guard.Call, action string) authz.Part {
	rule := k.rule()
	return authz.Part{
		Action: action, Resource: rule.ResourceAs(k.arn), Policy: k.policy, Authoritative: true,
		Context: rule.AppendContext(c.Conditions()),
	}
}

// grants reads the grants that the caller holds on a key, if a decision asks for them.
func (s *Service) grants(c *guard.Call, k *keyView) guard.GrantSource {
	if k.Grants == 0 {
		return nil
	}
	return func(tx store.Tx) ([]authz.Grant, error) { return grantsOf(tx, k, &c.Caller.Principal) }
}

// authorize decides a part of a key that a grant may allow too.
func (s *Service) authorize(tx store.Tx, c *guard.Call, k *keyView, p authz.Part, dryRun bool) (permit.Permit, error) {
	return s.g.AuthorizeOne(tx, c, p, s.grants(c, k), dryRun)
}

// allow decides an action on a key that needs nothing else.
func (s *Service) allow(tx store.Tx, c *guard.Call, k *keyView, action string) error {
	return s.allowWith(tx, c, k, action, nil)
}

// allowWith is allow for an action with condition keys of its own, which more adds.
func (s *Service) allowWith(tx store.Tx, c *guard.Call, k *keyView, action string, more func(*authz.Part)) error {
	c.Touch(k.arn, k.Account, keyType)
	p := k.part(c, action)
	if more != nil {
		more(&p)
	}
	_, err := s.authorize(tx, c, k, p, false)
	return err
}

// allowAny decides an action that has no resource.
func (s *Service) allowAny(tx store.Tx, c *guard.Call, action string) error {
	_, err := s.g.Allow(tx, c, anyPart(c, action))
	return err
}

// anyPart is the evaluation of an action that has no resource.
func anyPart(c *guard.Call, action string) authz.Part {
	return authz.Part{Action: action, Resource: authz.Resource{ARN: "*", Account: c.Account()}}
}

// keyType is how records call the type of keys, and of aliases.
const keyType = "AWS::KMS::Key"

// affects names a key in the record of an operation whose answer does not, unless it says more of the
// answer later. Source: AWS KMS Developer Guide, "Examples of AWS KMS log entries" (CreateAlias and others:
// since December 2022).
func affects(c *guard.Call, k *keyView) {
	c.Respond(&kmsapi.CancelKeyDeletionResponse{KeyId: &k.arn})
}

// change applies fn to a key after deciding action, with the condition keys that more adds, and
// checking the key's state.
func (s *Service) change(ctx context.Context, c *guard.Call, keyID *string, action string, op keyrule.Operation,
	more func(*authz.Part), fn func(store.Tx, *keyRecord) error) error {
	var due time.Time
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		k, err := s.resolve(tx, c, keyID, false)
		if err != nil {
			return err
		}
		add, err := s.trailing(tx, k.keyView, action, more)
		if err != nil {
			return err
		}
		if err := s.allowWith(tx, c, k.keyView, action, add); err != nil {
			return err
		}
		affects(c, k.keyView)
		if err := k.check(op); err != nil {
			return err
		}
		rec, ok, err := keyTable.Get(tx, k.Region, k.Account, k.ID)
		if err != nil || !ok {
			return fmt.Errorf("kms: key %s vanished in its transaction: %w", k.arn, err)
		}
		before := rec
		if err := fn(tx, &rec); err != nil {
			return err
		}
		if err := reschedule(tx, &before, &rec); err != nil {
			return err
		}
		due = rec.wake()
		return keyTable.Put(tx, rec, rec.Region, rec.Account, rec.ID)
	})
	if err == nil && !due.IsZero() {
		s.wakeAt(due)
	}
	return err
}

func notFound(format string, args ...any) error { return keyrule.NotFound(format, args...) }

// metadata is a key's KeyMetadata.
func (k *keyRecord) metadata() *kmsapi.KeyMetadata {
	m := &kmsapi.KeyMetadata{
		AWSAccountId: &k.Account, KeyId: &k.ID, Arn: new(k.arn()), CreationDate: &k.Created,
		Enabled: new(k.State == kmsapi.KeyStateEnabled), Description: &k.Description, KeyUsage: &k.Usage, KeyState: &k.State,
		Origin: &k.Origin, KeyManager: &k.Manager, CustomerMasterKeySpec: &k.Spec, KeySpec: &k.Spec, MultiRegion: new(k.Multi != nil),
		MultiRegionConfiguration: k.multiRegionConfiguration(),
	}
	if k.State == kmsapi.KeyStatePendingReplicaDeletion {
		m.PendingDeletionWindowInDays = &k.Window
	}
	if !k.Deletion.IsZero() {
		m.DeletionDate = &k.Deletion
	}
	algs, _ := keyrule.Algorithms(k.Spec, k.Usage)
	switch k.Usage {
	case kmsapi.KeyUsageTypeENCRYPT_DECRYPT:
		m.EncryptionAlgorithms = algs
	case kmsapi.KeyUsageTypeSIGN_VERIFY:
		m.SigningAlgorithms = algs
	case kmsapi.KeyUsageTypeGENERATE_VERIFY_MAC:
		m.MacAlgorithms = algs
	case kmsapi.KeyUsageTypeKEY_AGREEMENT:
		m.KeyAgreementAlgorithms = algs
	case kmsapi.KeyUsageTypeENCAPSULATE_DECAPSULATE:
		m.EncapsulationAlgorithms = algs
	}
	k.expiration(m)
	if k.Store != "" {
		m.CustomKeyStoreId, m.XksKeyConfiguration = &k.Store, &kmsapi.XksKeyConfigurationType{Id: &k.XksKey}
		return m
	}
	if k.Spec == kmsapi.KeySpecSYMMETRIC_DEFAULT && len(k.Materials) > 0 {
		m.CurrentKeyMaterialId = new(k.current().ID)
	}
	return m
}

// serviceIdentity is KMS itself, for what it does without being asked.
var serviceIdentity = directory.ServiceIdentity("kms.amazonaws.com")

func itoa(n int32) string { return strconv.Itoa(int(n)) }
