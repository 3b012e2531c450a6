package directory

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// A Place is what an organization says of an account. It is shared: nobody changes it.
type Place struct {
	Organization string   // its id, or "" for an account outside
	Paths        []string // aws:PrincipalOrgPaths and aws:ResourceOrgPaths
	Role         authz.AccountRole
	// SCPs limit the account's principals, RCPs whoever uses its resources: levels from the root
	// down to the account. Levels that limit nothing are left out; nil if none limits.
	SCPs, RCPs [][]*authz.Document
}

// orgView is an organization ready for decisions, at one revision of its record.
type orgView struct {
	Organization
	compile func(src, name, owner, attached string, kind policy.Kind) (*authz.Document, error)

	mu       sync.Mutex // guards the rest
	loaded   bool
	units    map[string]Unit
	policies map[string]OrgPolicy
	attached map[PolicyType]map[string][]string
	docs     map[string]*authz.Document // compiled when needed
	places   map[string]*Place          // by account
}

func (d *Directory) newOrgView(o Organization) (*orgView, error) {
	return &orgView{Organization: o, compile: d.compile, docs: map[string]*authz.Document{}, places: map[string]*Place{}}, nil
}

// Place is the place of an account in its organization, as the transaction sees it. The answer is
// kept by the revision of the organization, so nothing is read again until something changed.
func (d *Directory) Place(tx store.Tx, account string) (*Place, error) {
	id, err := d.organizationID(tx, account)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return d.nowhere, nil
	}
	v, ok, err := d.orgs.Shared(tx, id)
	switch {
	case err != nil:
		return nil, err
	case !ok && d.dev != nil:
		v = d.dev // nobody changed it yet
	case !ok:
		return nil, fmt.Errorf("directory: organization %s of account %s does not exist", id, account)
	}
	return d.placeIn(tx, v, account)
}

func (d *Directory) placeIn(tx store.Tx, v *orgView, account string) (*Place, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.places[account]; p != nil {
		return p, nil
	}
	if err := d.load(tx, v); err != nil {
		return nil, err
	}
	m, ok, err := d.Member(tx, v.Organization, account)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("directory: account %s is not in its organization %s", account, v.ID)
	}
	p, err := v.place(m)
	if err != nil {
		return nil, err
	}
	if len(v.places) >= cacheSize {
		clear(v.places)
	}
	v.places[account] = p
	return p, nil
}

// load reads everything of the organization but its accounts, in four scans.
func (d *Directory) load(tx store.Tx, v *orgView) error {
	if v.loaded {
		return nil
	}
	units, err := d.Units(tx, v.Organization)
	if err != nil {
		return err
	}
	policies, err := d.OrgPolicies(tx, v.Organization)
	if err != nil {
		return err
	}
	attached := map[PolicyType]map[string][]string{}
	for _, t := range []PolicyType{SCP, RCP} {
		if attached[t], err = d.Attachments(tx, v.Organization, t); err != nil {
			return err
		}
	}
	v.units, v.policies, v.attached = map[string]Unit{}, map[string]OrgPolicy{}, attached
	for _, u := range units {
		v.units[u.ID] = u
	}
	for _, p := range policies {
		v.policies[p.ID] = p
	}
	v.loaded = true
	return nil
}

func (v *orgView) place(m Member) (*Place, error) {
	chain, err := v.chain(m.Parent)
	if err != nil {
		return nil, err
	}
	path := strings.Join(append([]string{v.ID}, chain...), "/") + "/"
	p := &Place{Organization: v.ID, Paths: []string{path}, Role: authz.Member}
	if m.Account == v.Management {
		p.Role = authz.Management // neither kind limits it
		return p, nil
	}
	chain = append(chain, m.Account)
	if p.SCPs, err = v.levels(SCP, chain); err != nil {
		return nil, err
	}
	p.RCPs, err = v.levels(RCP, chain)
	return p, err
}

// chain is the root and the units above an account, from the top.
func (v *orgView) chain(parent string) ([]string, error) {
	var up []string
	for id := parent; id != v.Root; {
		u, ok := v.units[id]
		if !ok || len(up) > maxUnits {
			return nil, fmt.Errorf("directory: organizational unit %s of %s does not exist", id, v.ID)
		}
		up = append(up, id)
		id = u.Parent
	}
	chain := []string{v.Root}
	for i := range up {
		chain = append(chain, up[len(up)-1-i])
	}
	return chain, nil
}

// maxUnits ends the walk through units that would contain each other.
const maxUnits = 64

func (v *orgView) levels(t PolicyType, chain []string) ([][]*authz.Document, error) {
	if !v.Enabled(t) {
		return nil, nil
	}
	var out [][]*authz.Document
	for _, target := range chain {
		ids, ok := v.attached[t][target]
		if !ok || len(ids) == 1 && ids[0] == t.Full() {
			continue
		}
		docs := make([]*authz.Document, 0, len(ids))
		for _, id := range ids {
			doc, err := v.document(t, id)
			if err != nil {
				return nil, err
			}
			here := *doc
			here.Attached = v.TargetARN(target)
			docs = append(docs, &here)
		}
		out = append(out, docs)
	}
	return out, nil
}

func (v *orgView) document(t PolicyType, id string) (*authz.Document, error) {
	if doc := v.docs[id]; doc != nil {
		return doc, nil
	}
	src, owner, kind := t.FullDocument(), "aws", policy.SCP
	if id != t.Full() {
		p, ok := v.policies[id]
		if !ok { // it might deny
			return nil, fmt.Errorf("directory: attached policy %s of %s does not exist", id, v.ID)
		}
		src, owner = p.Document, v.Management
	}
	if t == RCP {
		kind = policy.RCP
	}
	doc, err := v.compile(src, v.PolicyARN(t, id), owner, "", kind)
	if err != nil {
		return nil, err
	}
	v.docs[id] = doc
	return doc, nil
}

// see remembers a development account that somebody used, so that lists show it.
func (d *Directory) see(ctx context.Context, account string) error {
	if _, known := d.seen.Load(account); known {
		return nil
	}
	missing := false
	err := d.cfg.Store.View(ctx, func(tx store.Tx) error {
		id, err := d.organizationID(tx, account)
		if err != nil || id != DevOrganization { // it left
			return err
		}
		_, ok, err := memberTable.Get(tx, DevOrganization, account)
		missing = !ok
		return err
	})
	if err == nil && missing {
		// Its place is what it was without the record: the organization's revision may stay.
		err = d.cfg.Store.Update(ctx, func(tx store.Tx) error {
			if _, ok, err := memberTable.Get(tx, DevOrganization, account); err != nil || ok {
				return err
			}
			return memberTable.Put(tx, d.devMember(account), DevOrganization, account)
		})
	}
	if err == nil {
		d.seen.Store(account, struct{}{})
	}
	return err
}
