// Package keypairs is the key pairs that instances are launched with: their public halves, for the private ones are given
// away when they are made. How keys are made, read and written is in package keypair.
package keypairs

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
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/keypair"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A Pair is a key pair: its public half.
type Pair struct {
	Region      string    `json:"region"`
	Account     string    `json:"account"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Type        string    `json:"type"`
	Fingerprint string    `json:"fingerprint"`
	Public      string    `json:"public"` // as OpenSSH writes it
	Created     time.Time `json:"created"`
}

// table is keyed by (region, account, name).
var table = store.Table[Pair]{Bucket: "ec2/key-pair", Version: 1}

// A Service has the operations on key pairs. Safe for concurrent use.
type Service struct{ g *guard.Guard }

// New makes a Service.
func New(g *guard.Guard) *Service { return &Service{g} }

// Operations are the handlers.
func (s *Service) Operations() map[string]guard.Handler {
	return map[string]guard.Handler{
		"CreateKeyPair":    guard.Handle(s.CreateKeyPair),
		"ImportKeyPair":    guard.Handle(s.ImportKeyPair),
		"DeleteKeyPair":    guard.Handle(s.DeleteKeyPair),
		"DescribeKeyPairs": guard.Handle(s.DescribeKeyPairs),
	}
}

// ErrUnknown is the error about a name that no key pair of the caller has.
func ErrUnknown(name string) error {
	return apierr.Newf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

// Part is the evaluation of the call's action on a key pair: its ARN has the name.
func Part(c *guard.Call, action, name string, k *Pair, tags map[string]string) authz.Part {
	p := idiom.Part(c, action, "key-pair/"+name, tags)
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
		return nil, idiom.InvalidValue("Value (%s) for parameter keyType is invalid. Valid values: rsa, ed25519.", kind)
	case format != keypair.PEM && format != keypair.PPK:
		return nil, idiom.InvalidValue("Value (%s) for parameter keyFormat is invalid. Valid values: pem, ppk.", format)
	}
	out := &ec2api.KeyPair{}
	made := false
	k := Pair{Type: kind}
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
	k := Pair{}
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
	k *Pair, fill func() error, out *[]ec2api.Tag,
) error {
	k.Region, k.Account, k.ID, k.Name, k.Created = c.Region, c.Account(), idiom.RandomID("key"), api.Val(name), s.g.Now()
	if err := checkName(k.Name); err != nil {
		return err
	}
	specs, err := idiom.TagSpecs(c, tagging, "key-pair")
	if err != nil {
		return err
	}
	tags := specs["key-pair"]
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		p := idiom.Part(c, "ec2:"+c.Operation, "key-pair/"+k.Name, nil)
		if c.Operation == "CreateKeyPair" {
			p.Context.Set("ec2:keypairtype", k.Type)
		}
		idiom.AddRequestTags(&p, tags)
		c.Touch(p.Resource.ARN, k.Account, "")
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: idiom.WithTags(c, []authz.Part{p}, "key-pair", tags)}); err != nil {
			return err
		}
		if err := idiom.DryRun(flag); err != nil {
			return err
		}
		if _, ok, err := table.Get(tx, k.Region, k.Account, k.Name); err != nil {
			return err
		} else if ok {
			return apierr.Newf("InvalidKeyPair.Duplicate", "The keypair '%s' already exists.", k.Name)
		}
		if err := fill(); err != nil {
			return err
		}
		*out = idiom.Wire(idiom.TagMap(tags))
		if err := table.Put(tx, *k, k.Region, k.Account, k.Name); err != nil {
			return err
		}
		return idiom.PutTags(tx, k.Region, k.Account, k.ID, tags)
	})
}

// checkName checks the name of a new key pair: up to 255 ASCII characters, no blanks around.
func checkName(name string) error {
	switch {
	case name == "":
		return apierr.New("MissingParameter", "The request must contain the parameter KeyName")
	case len(name) > 255, strings.TrimSpace(name) != name, strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return idiom.InvalidValue("Value (%s) for parameter KeyName is invalid. Use up to 255 ASCII characters, without leading or trailing spaces.", name)
	}
	return nil
}

// Named finds a key pair of the caller by its name.
func Named(tx store.Tx, c *guard.Call, name string) (Pair, bool, error) {
	return table.Get(tx, c.Region, c.Account(), name)
}

// ByID finds a key pair of the caller by its id.
func ByID(tx store.Tx, c *guard.Call, id string) (Pair, bool, error) {
	for r, err := range table.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return Pair{}, false, err
		}
		if r.Value.ID == id {
			return r.Value, true, nil
		}
	}
	return Pair{}, false, nil
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
		k, ok, err := table.Get(tx, c.Region, c.Account(), api.Val(in.KeyName))
		name := api.Val(in.KeyName)
		if name == "" {
			if k, ok, err = ByID(tx, c, *in.KeyPairId); ok {
				name = k.Name
			} else {
				name = *in.KeyPairId
			}
		}
		if err != nil {
			return err
		}
		tags, err := idiom.TagsOf(tx, c.Region, c.Account(), k.ID)
		if err != nil {
			return err
		}
		known := &k
		if !ok {
			known = nil
		}
		if _, err := s.g.Allow(tx, c, Part(c, "ec2:DeleteKeyPair", name, known, tags)); err != nil {
			return err
		}
		if err := idiom.DryRun(in.DryRun); err != nil || !ok {
			return err
		}
		c.Touch(arn.EC2(k.Region, k.Account, "key-pair/"+k.Name), k.Account, "")
		out.KeyPairId = &k.ID
		if err := idiom.DropTags(tx, k.Region, k.Account, k.ID); err != nil {
			return err
		}
		return table.Delete(tx, k.Region, k.Account, k.Name)
	})
}

var fields = idiom.Fields[ec2api.KeyPairInfo]{
	"fingerprint": func(k ec2api.KeyPairInfo) []string { return idiom.One(*k.KeyFingerprint) },
	"key-name":    func(k ec2api.KeyPairInfo) []string { return idiom.One(*k.KeyName) },
	"key-pair-id": func(k ec2api.KeyPairInfo) []string { return idiom.One(*k.KeyPairId) },
	"key-type":    func(k ec2api.KeyPairInfo) []string { return idiom.One(*k.KeyType) },
}

// DescribeKeyPairs lists the caller's key pairs, by name.
func (s *Service) DescribeKeyPairs(ctx context.Context, c *guard.Call, in *ec2api.DescribeKeyPairsRequest) (*ec2api.DescribeKeyPairsResult, error) {
	out := &ec2api.DescribeKeyPairsResult{}
	err := idiom.ViewList(ctx, s.g, c, "ec2:DescribeKeyPairs", in.DryRun, func(tx store.Tx) error {
		var items []ec2api.KeyPairInfo
		for r, err := range table.Scan(tx, c.Region, c.Account()) {
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
		items, err := idiom.Pick(items, in.KeyNames, func(k ec2api.KeyPairInfo) string { return *k.KeyName }, ErrUnknown)
		if err != nil {
			return err
		}
		items, err = idiom.Pick(items, in.KeyPairIds, func(k ec2api.KeyPairInfo) string { return *k.KeyPairId }, func(id string) error {
			return apierr.Newf("InvalidKeyPair.NotFound", "The key pair ID '%s' does not exist", id)
		})
		if err != nil {
			return err
		}
		out.KeyPairs, err = idiom.Sift(tx, c, fields, in.Filters, items,
			func(k *ec2api.KeyPairInfo) (string, *[]ec2api.Tag) { return *k.KeyPairId, &k.Tags })
		for n := range out.KeyPairs { // AWS's examples have the list also where it is empty
			out.KeyPairs[n].Tags = append([]ec2api.Tag{}, out.KeyPairs[n].Tags...)
		}
		slices.SortFunc(out.KeyPairs, func(a, b ec2api.KeyPairInfo) int { return strings.Compare(*a.KeyName, *b.KeyName) })
		return err
	})
	return out, err
}
