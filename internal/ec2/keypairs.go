package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/keypair"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A keyRecord is a key pair: its public half.
type keyRecord struct {
	Region      string    `json:"region"`
	Account     string    `json:"account"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Fingerprint string    `json:"fingerprint"`
	Public      string    `json:"public"` // as OpenSSH writes it
	Created     time.Time `json:"created"`
}

// keyTable is keyed by (region, account, name).
var keyTable = store.Table[keyRecord]{Bucket: "ec2/key-pair", Version: 1}

// keyPairOperations are the handlers of key pairs.
func (s *Service) keyPairOperations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateKeyPair":    guard.Handle(s.CreateKeyPair),
		"ImportKeyPair":    guard.Handle(s.ImportKeyPair),
		"DeleteKeyPair":    guard.Handle(s.DeleteKeyPair),
		"DescribeKeyPairs": guard.Handle(s.DescribeKeyPairs),
	}
}

func errKeyPair(name string) error {
	return apierr.Newf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

// keyPart is the evaluation of the call's action on a key pair: its ARN has the name.
func (s *Service) keyPart(c *guard.Call, action, name string, k *keyRecord, tags map[string]string) authz.Part {
	p := s.part(c, action, "key-pair/"+name, tags)
	if k != nil {
		p.Context.Set("ec2:keypairname", k.Name)
		p.Context.Set("ec2:keypairtype", k.Type)
	}
	return p
}

// CreateKeyPair makes a key pair. Its private key is in the answer and nowhere else.
// Source: EC2 API Reference, CreateKeyPair.
func (s *Service) CreateKeyPair(ctx context.Context, c *guard.Call, in *ec2api.CreateKeyPairRequest) (*ec2api.KeyPair, error) {
	kind, format := api.Val(in.KeyType), api.Val(in.KeyFormat)
	if kind == "" {
		kind = keypair.RSA
	}
	if format == "" {
		format = keypair.PEM
	}
	switch {
	case kind != keypair.RSA && kind != keypair.ED25519:
		return nil, invalidValue("Value (%s) for parameter keyType is invalid. Valid values: rsa, ed25519.", kind)
	case format != keypair.PEM && format != keypair.PPK:
		return nil, invalidValue("Value (%s) for parameter keyFormat is invalid. Valid values: pem, ppk.", format)
	}
	out := &ec2api.KeyPair{}
	made := false
	k := keyRecord{Type: kind}
	err := s.putKeyPair(ctx, c, in.KeyName, in.TagSpecifications, in.DryRun, &k, func() error {
		if made { // the transaction runs again
			return nil
		}
		public, private, err := keypair.New(kind, format, api.Val(in.KeyName))
		if err != nil {
			return err
		}
		made, out.KeyMaterial = true, &private
		k.Fingerprint, k.Public = public.Fingerprint, public.OpenSSH
		return nil
	}, &out.Tags)
	if err != nil {
		return nil, err
	}
	out.KeyPairId, out.KeyName, out.KeyFingerprint = &k.ID, &k.Name, &k.Fingerprint
	return out, nil
}

// ImportKeyPair keeps the public key of a pair that the caller made.
// Source: EC2 API Reference, ImportKeyPair.
func (s *Service) ImportKeyPair(ctx context.Context, c *guard.Call, in *ec2api.ImportKeyPairRequest) (*ec2api.ImportKeyPairResult, error) {
	if len(in.PublicKeyMaterial) == 0 {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter publicKeyMaterial")
	}
	k := keyRecord{}
	public, err := keypair.Parse(in.PublicKeyMaterial)
	if err == nil {
		k.Type, k.Fingerprint, k.Public = public.Type, public.Fingerprint, public.OpenSSH
	}
	out := &ec2api.ImportKeyPairResult{}
	err = s.putKeyPair(ctx, c, in.KeyName, in.TagSpecifications, in.DryRun, &k, func() error {
		if errors.Is(err, keypair.ErrFormat) {
			return apierr.New("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
		}
		return err
	}, &out.Tags)
	if err != nil {
		return nil, err
	}
	out.KeyPairId, out.KeyName, out.KeyFingerprint = &k.ID, &k.Name, &k.Fingerprint
	return out, nil
}

// putKeyPair decides and stores a new key pair; fill completes it, once that is decided.
func (s *Service) putKeyPair(ctx context.Context, c *guard.Call, name *string, tagging []ec2api.TagSpecification, flag *bool,
	k *keyRecord, fill func() error, out *[]ec2api.Tag,
) error {
	k.Region, k.Account, k.ID, k.Name, k.Created = c.Region, c.Account(), randomID("key"), api.Val(name), s.g.Now()
	if err := checkKeyName(k.Name); err != nil {
		return err
	}
	specs, err := tagSpecs(c, tagging, "key-pair")
	if err != nil {
		return err
	}
	tags := specs["key-pair"]
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p := s.part(c, "ec2:"+c.Operation, "key-pair/"+k.Name, nil)
		if c.Operation == "CreateKeyPair" {
			p.Context.Set("ec2:keypairtype", k.Type)
		}
		addRequestTags(&p, tags)
		c.Touch(p.Resource.ARN, k.Account, "")
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: s.withTags(c, []authz.Part{p}, "key-pair", tags)}); err != nil {
			return err
		}
		if err := dryRun(flag); err != nil {
			return err
		}
		if _, ok, err := keyTable.Get(tx, k.Region, k.Account, k.Name); err != nil {
			return err
		} else if ok {
			return apierr.Newf("InvalidKeyPair.Duplicate", "The keypair already exists: '%s'", k.Name)
		}
		if err := fill(); err != nil {
			return err
		}
		*out = apiTags(tagMap(tags))
		if err := keyTable.Put(tx, *k, k.Region, k.Account, k.Name); err != nil {
			return err
		}
		return putTags(tx, k.Region, k.Account, k.ID, tags)
	})
}

// checkKeyName checks the name of a new key pair: up to 255 ASCII characters, no blanks around.
func checkKeyName(name string) error {
	switch {
	case name == "":
		return apierr.New("MissingParameter", "The request must contain the parameter KeyName")
	case len(name) > 255, strings.TrimSpace(name) != name, strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return invalidValue("Value (%s) for parameter KeyName is invalid. Use up to 255 ASCII characters, without leading or trailing spaces.", name)
	}
	return nil
}

// keyByID finds a key pair of the caller by its id.
func keyByID(tx store.Tx, c *guard.Call, id string) (keyRecord, bool, error) {
	for r, err := range keyTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return keyRecord{}, false, err
		}
		if r.Value.ID == id {
			return r.Value, true, nil
		}
	}
	return keyRecord{}, false, nil
}

// DeleteKeyPair deletes a key pair; that it does not exist is no error.
// Source: EC2 API Reference, DeleteKeyPair.
func (s *Service) DeleteKeyPair(ctx context.Context, c *guard.Call, in *ec2api.DeleteKeyPairRequest) (*ec2api.DeleteKeyPairResult, error) {
	if api.Val(in.KeyName) == "" && api.Val(in.KeyPairId) == "" {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	out := &ec2api.DeleteKeyPairResult{}
	return out, s.g.Update(ctx, c, func(tx store.Tx) error {
		*out = ec2api.DeleteKeyPairResult{Return: new(true)}
		k, ok, err := keyTable.Get(tx, c.Region, c.Account(), api.Val(in.KeyName))
		name := api.Val(in.KeyName)
		if name == "" {
			if k, ok, err = keyByID(tx, c, *in.KeyPairId); ok {
				name = k.Name
			} else {
				name = *in.KeyPairId
			}
		}
		if err != nil {
			return err
		}
		tags, err := tagsOf(tx, c.Region, c.Account(), k.ID)
		if err != nil {
			return err
		}
		known := &k
		if !ok {
			known = nil
		}
		if _, err := s.g.Allow(tx, c, s.keyPart(c, "ec2:DeleteKeyPair", name, known, tags)); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil || !ok {
			return err
		}
		c.Touch(arn.EC2(k.Region, k.Account, "key-pair/"+k.Name), k.Account, "")
		out.KeyPairId = &k.ID
		if err := dropTags(tx, k.Region, k.Account, k.ID); err != nil {
			return err
		}
		return keyTable.Delete(tx, k.Region, k.Account, k.Name)
	})
}

var keyFields = fields[ec2api.KeyPairInfo]{
	"fingerprint": func(k ec2api.KeyPairInfo) []string { return oneOf(*k.KeyFingerprint) },
	"key-name":    func(k ec2api.KeyPairInfo) []string { return oneOf(*k.KeyName) },
	"key-pair-id": func(k ec2api.KeyPairInfo) []string { return oneOf(*k.KeyPairId) },
	"key-type":    func(k ec2api.KeyPairInfo) []string { return oneOf(*k.KeyType) },
}

// DescribeKeyPairs lists the caller's key pairs, by name.
func (s *Service) DescribeKeyPairs(ctx context.Context, c *guard.Call, in *ec2api.DescribeKeyPairsRequest) (*ec2api.DescribeKeyPairsResult, error) {
	out := &ec2api.DescribeKeyPairsResult{}
	err := s.viewList(ctx, c, "ec2:DescribeKeyPairs", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.KeyPairInfo
		for r, err := range keyTable.Scan(tx, c.Region, c.Account()) {
			if err != nil {
				return err
			}
			k := r.Value
			item := ec2api.KeyPairInfo{KeyPairId: &k.ID, KeyName: &k.Name, KeyType: &k.Type, KeyFingerprint: &k.Fingerprint, CreateTime: &k.Created}
			if api.Val(in.IncludePublicKey) {
				item.PublicKey = new(k.Public + " " + k.Name)
			}
			items = append(items, item)
		}
		items, err := pick(items, in.KeyNames, func(k ec2api.KeyPairInfo) string { return *k.KeyName }, errKeyPair)
		if err != nil {
			return err
		}
		items, err = pick(items, in.KeyPairIds, func(k ec2api.KeyPairInfo) string { return *k.KeyPairId }, func(id string) error {
			return apierr.Newf("InvalidKeyPair.NotFound", "The key pair ID '%s' does not exist", id)
		})
		if err != nil {
			return err
		}
		out.KeyPairs, err = sift(tx, c, keyFields, in.Filters, items,
			func(k *ec2api.KeyPairInfo) (string, *[]ec2api.Tag) { return *k.KeyPairId, &k.Tags })
		for n := range out.KeyPairs { // AWS's examples have the list also where it is empty
			out.KeyPairs[n].Tags = append([]ec2api.Tag{}, out.KeyPairs[n].Tags...)
		}
		slices.SortFunc(out.KeyPairs, func(a, b ec2api.KeyPairInfo) int { return strings.Compare(*a.KeyName, *b.KeyName) })
		return err
	})
	return out, err
}
