package kms

import (
	"cmp"
	"time"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/envelope"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

type tag = authz.Tag

// keyRecord is a key as stored. Its metadata is kept with its policy and wrapped material: one
// read gives all that a decision and a use need.
type keyRecord struct {
	ID          string              `json:"id"`
	Region      string              `json:"region"`
	Account     string              `json:"account"`
	Description string              `json:"description,omitempty"`
	Usage       string              `json:"usage"`
	Spec        string              `json:"spec"`
	Origin      string              `json:"origin"`
	Manager     string              `json:"manager"` // CUSTOMER or AWS
	State       string              `json:"state"`
	Created     time.Time           `json:"created"`
	Deletion    time.Time           `json:"deletion,omitzero"`
	Window      int32               `json:"window,omitempty"`      // days, while Deletion waits for replicas
	Multi       *multiRegion        `json:"multiRegion,omitempty"` // nil: a single-Region key
	Rotation    *rotation           `json:"rotation,omitempty"`    // nil: off
	Rotations   []rotated           `json:"rotations,omitempty"`
	Policy      string              `json:"policy"`
	PolicyIDs   map[string]string   `json:"policyIds,omitempty"` // principal ARN to unique id when saved
	Tags        []tag               `json:"tags,omitempty"`
	Aliases     []string            `json:"aliases,omitempty"`
	Materials   []hsm.Material      `json:"materials"`         // the last one is current
	Pending     *hsm.Material       `json:"pending,omitempty"` // of an external key: the next current one
	Imports     map[string]imported `json:"imports,omitempty"` // of an external key, by material id
	Grants      int                 `json:"grants,omitempty"`
	Store       string              `json:"store,omitempty"`  // CustomKeyStoreId
	XksKey      string              `json:"xksKey,omitempty"` // its id in the external key manager

	room *keyRoom // until its view is built; nil: there is none
}

func (k *keyRecord) arn() string { return arn.KMSKey(k.Region, k.Account, k.ID) }

// rule is what the rules of keys need to know.
func (k *keyRecord) rule() keyrule.Key {
	return keyrule.Key{
		Region: k.Region, Account: k.Account, ID: k.ID, Spec: k.Spec, Usage: k.Usage, Origin: k.Origin, State: k.State,
		AWSManaged: k.managed(), Aliases: k.Aliases, Tags: k.Tags,
		MultiRegion: k.Multi != nil, MultiRegionKeyType: k.regionType(),
	}
}

// managed reports whether AWS manages the key.
func (k *keyRecord) managed() bool { return k.Manager == kmsapi.KeyManagerTypeAWS }

// current is the material that encrypts; the zero Material of an external key that never had any.
func (k *keyRecord) current() hsm.Material {
	if len(k.Materials) == 0 {
		return hsm.Material{}
	}
	return k.Materials[len(k.Materials)-1]
}

// header is that of a ciphertext of a symmetric key, made now.
func (k *keyRecord) header() envelope.Header {
	return envelope.Header{Region: k.Region, Account: k.Account, KeyID: k.ID, MaterialID: k.current().ID, Algorithm: symmetric}
}

// material finds the material that made a ciphertext.
func (k *keyRecord) material(id string) (hsm.Material, bool) {
	for _, m := range k.Materials {
		if m.ID == id {
			return m, true
		}
	}
	return hsm.Material{}, false
}

// keyView is a key ready for decisions. It is shared and must not be changed. There can be many: what is cheap to
// make of the record is not kept.
type keyView struct {
	*keyRecord
	arn    string
	policy *authz.Document
	state  string // the key's, if it is not that of the record
	head   []byte // what ciphertexts that are made now are bound to, before their contexts
}

// rule is what the rules of keys need to know.
func (k *keyView) rule() keyrule.Key {
	r := k.keyRecord.rule()
	r.State = cmp.Or(k.state, r.State)
	return r
}

// check refuses an operation in the state of the key.
func (k *keyView) check(op keyrule.Operation) error { return op.Check(new(k.rule())) }

// checkUse refuses an operation that is not what the key is for.
func (k *keyView) checkUse(op, usage, alg string) error {
	return new(k.rule()).CheckUse(op, usage, alg)
}

// resource is the key as the resource of a decision.
func (k *keyView) resource() authz.Resource { return new(k.rule()).ResourceAs(k.arn) }

// A keyRoom is memory for what nearly all keys have, in one piece: very many can be kept, and the collector looks at
// each piece.
type keyRoom struct {
	view      keyView
	policy    authz.Document
	aliases   [1]string
	tags      [1]tag
	materials [1]hsm.Material
}

// newKeyBlock is a record with room.
func newKeyBlock() *keyRecord {
	b := new(struct {
		rec  keyRecord
		room keyRoom
	})
	b.rec.room = &b.room
	return &b.rec
}

type aliasRecord struct {
	Name    string    `json:"name"`
	KeyID   string    `json:"keyId"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

type grantRecord struct {
	ID             string            `json:"id"`
	Region         string            `json:"region"`
	Account        string            `json:"account"` // of the key
	KeyID          string            `json:"keyId"`
	Name           string            `json:"name,omitempty"`
	Grantee        string            `json:"grantee"` // ARN, or service principal
	GranteeID      string            `json:"granteeId,omitempty"`
	GranteeService bool              `json:"granteeService,omitempty"`
	Retiring       string            `json:"retiring,omitempty"`
	RetiringID     string            `json:"retiringId,omitempty"`
	RetiringSvc    bool              `json:"retiringService,omitempty"`
	Issuer         string            `json:"issuer"` // account of the CreateGrant caller
	Operations     []string          `json:"operations"`
	Equals         map[string]string `json:"equals,omitempty"`
	Subset         map[string]string `json:"subset,omitempty"`
	SourceARN      string            `json:"sourceArn,omitempty"`
	Created        time.Time         `json:"created"`
}

// granteeKey is what the index of grants by grantee uses: the unique id where there is one.
func (g *grantRecord) granteeKey() string {
	if g.GranteeID != "" {
		return g.GranteeID
	}
	return g.Grantee
}

func (g *grantRecord) retiringKey() string {
	if g.RetiringID != "" {
		return g.RetiringID
	}
	return g.Retiring
}

func (g *grantRecord) authz() authz.Grant {
	return authz.Grant{
		ID: g.ID, Grantee: g.Grantee, GranteeID: g.GranteeID, Retiring: g.Retiring, RetiringID: g.RetiringID,
		IssuingAccount: g.Issuer, Operations: g.Operations, ContextEquals: g.Equals, ContextSubset: g.Subset,
		SourceARN: g.SourceARN,
	}
}

// Formats of stores whose keys, and whose grants, are packed (docs/operations.md).
const (
	packedKeys   = 2
	packedGrants = 3
)

var packedGrant = &store.Packed[grantRecord]{Append: appendGrant, Parse: parseGrant, Since: packedGrants, JSON: 1}

// Tables. Keys start with region and account of the key. granteeTable repeats the grants: a
// decision reads all grants of a grantee in one scan, however many there are.
var (
	keyTable = store.Table[keyRecord]{
		Bucket: "kms/key", Version: 2, Packed: &store.Packed[keyRecord]{Append: appendKey, Parse: parseKey, Since: packedKeys, JSON: 1},
	}
	aliasTable    = store.Table[aliasRecord]{Bucket: "kms/alias", Version: 1}
	grantTable    = store.Table[grantRecord]{Bucket: "kms/grant", Version: 2, Packed: packedGrant}   // ..., key, grant
	granteeTable  = store.Table[grantRecord]{Bucket: "kms/grantee", Version: 2, Packed: packedGrant} // ..., key, grantee, grant: the same records
	retiringTable = store.Table[struct{}]{Bucket: "kms/retiring", Version: 1}                        // region, principal, account, key, grant
	grantNames    = store.Table[string]{Bucket: "kms/grantname", Version: 1}                         // ..., key, name, hash of the parameters
	deletionTable = store.Table[time.Time]{Bucket: "kms/pendingdeletion", Version: 1}                // ..., key
	// rotationTable has the keys that rotate by themselves: when next (dueFormat), region, account, key.
	rotationTable   = store.Table[struct{}]{Bucket: "kms/rotation", Version: 1}
	storeTable      = store.Table[storeRecord]{Bucket: "kms/keystore", Version: 1} // region, account, store
	xksKeyTable     = store.Table[string]{Bucket: "kms/xkskey", Version: 1}        // region, account, store, external key: the key's id
	rotationIndexed = store.Table[bool]{Bucket: "kms/rotationindex", Version: 1}   // that rotationTable has all
)

// sharingTable is keyTable for keys that are kept: those that have the same policy share its text.
func (s *Service) sharingTable() store.Table[keyRecord] {
	t, packed := keyTable, *keyTable.Packed
	share := func(text []byte) string { return s.docs.Text(text, policy.Key) }
	packed.Parse = func(data []byte, k *keyRecord) error { return parseShared(data, k, share) }
	t.Packed = &packed
	return t
}

// buildKept builds the view of a record that has room, which nobody has afterwards: copies of the record would share it.
func (s *Service) buildKept(k *keyRecord) (*keyView, error) {
	room := k.room
	k.room = nil
	return s.buildIn(room, k)
}

func (s *Service) buildView(k *keyRecord) (*keyView, error) { return s.buildIn(new(keyRoom), k) }

func (s *Service) buildIn(room *keyRoom, k *keyRecord) (*keyView, error) {
	v := &room.view
	*v = keyView{keyRecord: k, arn: k.arn(), policy: &room.policy}
	if err := s.docs.Fill(v.policy, k.Policy, policy.Key); err != nil {
		return nil, err
	}
	v.policy.Name, v.policy.Owner, v.policy.Attached = v.arn, k.Account, v.arn
	v.policy.SetPrincipalIDs(k.PolicyIDs)
	if k.Spec == symmetric {
		v.head = k.header().Bind(nil)
	}
	return v, nil
}
