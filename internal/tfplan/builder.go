package tfplan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A builder makes the scenario of one launch: only what bears on it goes in.
type builder struct {
	m       *model
	r       *resource
	home    *home
	sc      *format.Scenario
	launch  *Launch
	keys    map[*key]int
	depends []string // why the launch as a whole is not known
	plain   []int    // templates whose image is not described, and taken for a plain one
}

func (m *model) builder(r *resource) *builder {
	h := m.homeOf(r)
	b := &builder{m: m, r: r, home: h, keys: map[*key]int{}}
	b.sc = &format.Scenario{
		Schema: format.Schema, ID: r.addr, Title: r.addr, Story: m.words.Story, Source: format.Source{Basis: "derived"},
		Tags: []string{}, Region: h.region, Accounts: []format.Account{}, Keys: []format.Key{}, Principals: []format.Principal{},
		Snapshots: []format.Snapshot{}, Images: []format.Image{}, Launch: format.Launch{Account: h.account, Templates: []format.Template{}},
	}
	if m.state {
		b.sc.Story = "From a Terraform state."
	}
	b.launch = &Launch{Address: r.addr, Scenario: b.sc, Names: map[string]string{}, Assumed: slices.Clone(r.assumed), places: map[string]string{}}
	return b
}

// unknown marks what is at a place of the scenario.
func (b *builder) unknown(pointer, why string) {
	if b.sc.Unknown == nil {
		b.sc.Unknown = map[string]string{}
	}
	b.sc.Unknown[pointer] = why
}

func (b *builder) place(pointer, addr string) {
	if addr != "" {
		b.launch.places[pointer] = addr
	}
}

// assume notes what was taken for granted.
func (b *builder) assume(text string) {
	if text != "" && !slices.Contains(b.launch.Assumed, text) {
		b.launch.Assumed = append(b.launch.Assumed, text)
	}
}

// missing says that the launch may have more, or other, devices than the scenario.
func (b *builder) missing(why string) { b.depends = append(b.depends, why) }

func linkedRole(account, service string) string {
	return arn.Role(account, arn.ServiceLinkedPath(service), linkedName(service, ""))
}

// begin adds a template without devices.
func (b *builder) begin(r *resource, t format.Template) int {
	i := len(b.sc.Launch.Templates)
	if slices.ContainsFunc(b.sc.Launch.Templates, func(o format.Template) bool { return o.Name == t.Name }) {
		t.Name = r.addr
	}
	t.InstanceTypes = []string{}
	if typ := r.known("instance_type"); typ != "" {
		t.InstanceTypes = append(t.InstanceTypes, typ)
	}
	t.BlockDevices = []format.BlockDevice{}
	b.sc.Launch.Templates = append(b.sc.Launch.Templates, t)
	b.place(fmt.Sprintf("/launch/templates/%d", i), r.addr)
	return i
}

// device adds the mapping of a device. path leads to the attributes of its volume.
func (b *builder) device(i int, r *resource, name string, path ...any) {
	t := &b.sc.Launch.Templates[i]
	here := fmt.Sprintf("/launch/templates/%d/blockDevices/%d/ebs", i, len(t.BlockDevices))
	attr := func(name string) []any { return append(slices.Clone(path), name) }
	above := path
	if n := len(path) - 2; n > 0 && path[n] == "ebs" {
		above = path[:n] // the mapping, of whose volume path tells
	}
	switch is := func(name string) string { return fmt.Sprint(r.attr(append(slices.Clone(above), name)...).v) }; {
	case is("no_device") == "true" || r.typ == "aws_launch_template" && r.known(append(slices.Clone(above), "no_device")...) != "":
		if b.ofImage(i, name) {
			b.missing(fmt.Sprintf("%s leaves out the image's device %s", r.addr, name))
		}
		return
	case r.known(append(slices.Clone(above), "virtual_name")...) != "":
		return // an instance store volume
	}
	var v format.BlockVolume
	on := b.m.flag(r, attr("encrypted")...)
	if v.Encrypted = on.v; on.why != "" {
		v.Encrypted = new(false)
		b.unknown(here+"/encrypted", on.why)
	}
	if r.typ != "aws_launch_configuration" {
		v.KmsKeyID = b.kmsKeyID(r, attr("kms_key_id"), here)
	}
	source := "snapshot_id"
	if r.typ == "aws_ebs_snapshot_copy" {
		source = "source_snapshot_id"
	}
	if id := b.m.text(r, wantSnap, attr(source)...); !id.absent() {
		v.SnapshotID = cmp.Or(id.s, newID("snap-", place(r, path)))
		s := b.m.snapshotOf(v.SnapshotID, b.home)
		if id.why != "" {
			s.unknown = id.why
			b.unknown(here+"/snapshotId", id.why)
		}
		b.snapshot(s)
	}
	for _, size := range []string{"volume_size", "size"} {
		v.VolumeSize = max(v.VolumeSize, r.number(attr(size)...))
	}
	for _, typ := range []string{"volume_type", "type"} {
		v.VolumeType = cmp.Or(v.VolumeType, r.known(attr(typ)...))
	}
	t.BlockDevices = append(t.BlockDevices, format.BlockDevice{Device: name, EBS: v})
}

// kmsKeyID is the key of a device, as it is written or as what stands for it.
func (b *builder) kmsKeyID(r *resource, path []any, here string) string {
	c := b.m.keyOf(r, path...)
	b.assume(c.assumed)
	switch {
	case c.why != "":
		name, _ := b.keyARN(c, place(r, path))
		b.unknown(here+"/kmsKeyId", c.why)
		return name
	case c.name == "":
		return ""
	}
	if k := b.m.keys.get(c.name, c.h); k != nil {
		b.key(k)
	}
	return c.name
}

// override has the devices from the own-th on take the place of those of the same name before.
func (b *builder) override(i, own int) {
	t := &b.sc.Launch.Templates[i]
	for j := own; j < len(t.BlockDevices); j++ {
		for k := range own {
			if t.BlockDevices[k].Device == t.BlockDevices[j].Device {
				b.missing(fmt.Sprintf("%s maps %s, and so does its launch template", b.r.addr, t.BlockDevices[j].Device))
			}
		}
	}
}

// keyARN is the ARN of a key, which goes into the scenario. What is not known gets a key that stands
// for it, named after where it is asked for.
func (b *builder) keyARN(c keyChoice, asked string) (name, why string) {
	if c.h == nil {
		c.h = b.home
	}
	if c.name == awsManaged && c.why == "" {
		k := b.m.keys.managed(c.h)
		b.key(k)
		return k.ARN, ""
	}
	if c.name != "" && c.why == "" {
		if k := b.m.keys.get(c.name, c.h); k != nil {
			b.key(k)
			return k.ARN, ""
		}
		c.why = "no key has the name " + c.name
	}
	full := arn.KMSKey(c.h.region, c.h.account, keyUUID(asked))
	k := b.m.keys.byARN[full]
	if k == nil {
		k = b.m.keys.outside(full, c.h.region, c.h.account, c.why)
		b.m.keys.put(k)
	}
	b.key(k)
	b.launch.Names[full] = asked
	return full, c.why
}

// key adds a key with its grants.
func (b *builder) key(k *key) int {
	if i, ok := b.keys[k]; ok {
		return i
	}
	i := len(b.sc.Keys)
	b.keys[k] = i
	at := fmt.Sprintf("/keys/%d", i)
	b.sc.Keys = append(b.sc.Keys, k.Key)
	b.place(at, k.at)
	b.place(at+"/policy", k.policyAt)
	b.assume(k.assumed)
	b.account(k.Account)
	for _, member := range k.members() {
		b.unknown(at+"/"+member, k.unknown[member])
	}
	r := b.m.byAddress[k.at]
	if r != nil {
		for _, text := range r.assumed {
			b.assume(text)
		}
	}
	if r != nil && r.mode != "data" {
		if name, stands := b.m.standsFor(r); stands {
			b.launch.Names[k.ARN] = name
		}
	}
	out := &b.sc.Keys[i]
	out.Grants = slices.Clone(k.Key.Grants)
	for _, g := range k.grants {
		b.account(g.IssuingAccount)
		if g.r.action == actionCreate && g.unknown == "" {
			b.createGrant(k, g)
			continue
		}
		b.place(fmt.Sprintf("%s/grants/%d", at, len(out.Grants)), g.r.addr)
		out.Grants = append(out.Grants, g.Grant)
		b.person(g.GranteePrincipal, false)
	}
	for _, name := range k.principals() {
		b.person(name, false)
		if r != nil && r.action != actionNone && b.m.people.byARN[name] == nil {
			b.assume(name + " exists, whom the policy of " + r.addr + " names: " + b.m.words.File + " does not say, and KMS refuses policies that name somebody else")
			if arn.IsServiceLinkedRole(name) {
				b.add(&person{Principal: format.Principal{ARN: name, Kind: format.KindLinked, Policies: []format.InlinePolicy{}}})
			}
		}
	}
	return i
}

// createGrant makes a new grant a step before the launch, by whoever applies it.
func (b *builder) createGrant(k *key, g grant) {
	who := b.applier(b.m.homeOf(g.r))
	b.place(fmt.Sprintf("/setup/%d", len(b.sc.Setup)), g.r.addr)
	b.sc.Setup = append(b.sc.Setup, format.Step{Call: format.CallCreateGrant, As: who, Params: format.Params{
		Key: k.ARN, GranteePrincipal: g.GranteePrincipal, Operations: g.Operations, Constraints: g.Constraints,
	}})
	b.person(g.GranteePrincipal, false)
}

// applier adds who applies the resources of a home.
func (b *builder) applier(h *home) string {
	q, assumed := b.m.applier(h)
	if q == nil {
		return ""
	}
	b.assume(assumed)
	if q.ARN != arn.Root(h.account) {
		b.add(q)
	} else {
		b.account(h.account)
	}
	if h.caller == "" {
		b.launch.Names[q.ARN] = "whoever " + b.m.words.Applies
	}
	return q.ARN
}

func (b *builder) caller() { b.sc.Launch.Caller = new(b.applier(b.home)) }

// person adds a role or user of the plan, or a service-linked role that is there or that AWS makes.
func (b *builder) person(name string, linked bool) {
	if q := b.m.people.byARN[name]; q != nil {
		b.add(q)
		return
	}
	if linked && arn.IsServiceLinkedRole(name) {
		if a, _ := arn.Parse(name); name != linkedRole(a.Account, "autoscaling.amazonaws.com") {
			b.assume("role " + name + " exists: " + b.m.words.File + " does not say")
		}
		b.add(&person{Principal: format.Principal{ARN: name, Kind: format.KindLinked, Policies: []format.InlinePolicy{}}})
	}
}

func (b *builder) add(q *person) {
	if slices.ContainsFunc(b.sc.Principals, func(p format.Principal) bool { return p.ARN == q.ARN }) {
		return
	}
	at := fmt.Sprintf("/principals/%d", len(b.sc.Principals))
	b.sc.Principals = append(b.sc.Principals, q.Principal)
	b.place(at, q.at)
	for i, addr := range q.written {
		b.place(fmt.Sprintf("%s/policies/%d", at, i), addr)
	}
	for _, p := range q.pointers() {
		b.unknown(at+p, q.unknown[p])
	}
	a, _ := arn.Parse(q.ARN)
	b.account(a.Account)
}

// imageAt adds the image of a template.
func (b *builder) imageAt(i int, r *resource, path ...any) {
	at := fmt.Sprintf("/launch/templates/%d/imageId", i)
	if public, ok := r.attr(path...).v.(PublicImage); ok {
		b.assume(string(public) + " is public, and so no device of it is encrypted")
		b.plain = append(b.plain, i)
		return
	}
	id := b.m.text(r, wantImage, path...)
	im := image{unknown: id.why}
	if id.s != "" && id.why == "" {
		im = b.m.imageOf(id.s, b.home)
	}
	if id.absent() {
		if im.unknown = r.addr + " has no image"; b.r.typ == "aws_eks_node_group" {
			b.assume(b.r.addr + " has the image of EKS, whose only device is not encrypted")
			b.plain = append(b.plain, i)
			return
		}
	}
	if why := cmp.Or(im.unknown, im.outside); why != "" {
		if b.m.opt.PlainImages {
			b.assume(why + ": it is taken for one whose only device is not encrypted")
			b.plain = append(b.plain, i)
			return
		}
		if im.unknown != "" {
			b.unknown(at, im.unknown)
			return
		}
	}
	b.sc.Launch.Templates[i].ImageID = &id.s
	if slices.ContainsFunc(b.sc.Images, func(o format.Image) bool { return o.ID == im.ID }) {
		return
	}
	b.account(im.Owner)
	if im.SharedWith == nil {
		im.SharedWith = []string{}
	}
	here := fmt.Sprintf("/images/%d", len(b.sc.Images))
	b.place(here, im.at)
	if im.outside != "" {
		b.unknown(here, im.outside)
	}
	b.sc.Images = append(b.sc.Images, im.Image)
	for _, s := range im.snapshots {
		b.snapshot(s)
	}
}

// snapshot adds a snapshot with its key.
func (b *builder) snapshot(s snapshot) {
	if slices.ContainsFunc(b.sc.Snapshots, func(o format.Snapshot) bool { return o.ID == s.ID }) {
		return
	}
	at := fmt.Sprintf("/snapshots/%d", len(b.sc.Snapshots))
	out := s.Snapshot
	b.account(out.Owner)
	if out.SharedWith == nil {
		out.SharedWith = []string{}
	}
	if s.unknown != "" {
		out.Encrypted = false
		b.unknown(at+"/encrypted", s.unknown)
	}
	if out.Encrypted {
		c := s.key
		if c.h == nil || c.h.account != out.Owner {
			c.h = &home{account: out.Owner, region: b.home.region}
		}
		name, why := b.keyARN(c, "the key of snapshot "+s.ID)
		if out.Key = &name; why != "" {
			b.unknown(at+"/key", why)
		}
	}
	b.place(at, s.at)
	b.sc.Snapshots = append(b.sc.Snapshots, out)
}

// account adds an account with its settings for EBS in the region of the launch.
func (b *builder) account(id string) {
	if !arn.IsAccount(id) || slices.ContainsFunc(b.sc.Accounts, func(a format.Account) bool { return a.ID == id }) {
		return
	}
	at := fmt.Sprintf("/accounts/%d", len(b.sc.Accounts))
	a := format.Account{ID: id, Name: id, EBS: map[string]format.EBS{}, SCPs: []format.OrgPolicy{}, RCPs: []format.OrgPolicy{}}
	scps, rcps := b.m.organizationPolicies(id)
	for _, p := range scps {
		b.orgPolicy(at+"/scps", &a.SCPs, p)
	}
	for _, p := range rcps {
		b.orgPolicy(at+"/rcps", &a.RCPs, p)
	}
	b.sc.Accounts = append(b.sc.Accounts, a)
	if id != b.home.account {
		return // only settings of the account that launches matter
	}
	d := b.m.defaultsOf(b.home)
	e := format.EBS{EncryptionByDefault: d.isOn(), DefaultKmsKeyID: cmp.Or(d.key, awsManaged)}
	a.EBS[b.home.region] = e
	ebs := at + "/ebs/" + b.home.region
	b.place(ebs, d.at)
	if d.unknownOn != "" {
		b.unknown(ebs+"/encryptionByDefault", d.unknownOn)
	}
	if d.unknownKey != "" {
		b.unknown(ebs+"/defaultKmsKeyId", d.unknownKey)
	} else if k := b.m.keys.get(e.DefaultKmsKeyID, b.home); k != nil {
		b.key(k)
	}
}

func (b *builder) orgPolicy(at string, to *[]format.OrgPolicy, p orgPolicy) {
	i := len(*to)
	b.place(fmt.Sprintf("%s/%d", at, i), p.at)
	doc := format.Document(p.raw)
	if p.raw == nil {
		doc = empty
		b.unknown(fmt.Sprintf("%s/%d/policy", at, i), cmp.Or(p.why, p.at+" has no content"))
	}
	*to = append(*to, format.OrgPolicy{Name: p.name, Policy: doc})
}

// finish completes the scenario.
func (b *builder) finish() *Launch {
	b.addRoots()
	b.account(b.home.account)
	l := &b.sc.Launch
	noAccount := b.home.noAccount
	if noAccount != "" && !b.elsewhere() {
		noAccount = "" // any account is as good as another
	}
	if len(b.depends) > 0 || noAccount != "" || b.home.noRegion != "" {
		why := append(slices.Clone(b.depends), noAccount, b.home.noRegion)
		why = slices.Compact(slices.DeleteFunc(why, func(s string) bool { return s == "" }))
		if len(l.Templates) == 0 && len(l.ExistingVolumes) == 0 {
			b.begin(b.r, format.Template{Name: b.r.addr, Kind: format.KindLaunchTemplate, Market: format.MarketOnDemand})
		}
		if len(l.Templates) > 0 {
			at := "/launch/templates/0/imageId"
			if have := b.sc.Unknown[at]; have != "" {
				why = append(why, have)
			}
			b.unknown(at, strings.Join(why, "; "))
		}
	}
	if b.home.accountName != "" {
		b.launch.Names[b.home.account] = b.home.accountName
	}
	if b.home.regionName != "" {
		b.launch.Names[b.home.region] = b.home.regionName
	}
	if b.home.noAccount != "" {
		b.launch.Names[b.home.account] = b.home.stands()
	}
	b.sc.Tags = append(b.sc.Tags, b.m.words.Tag)
	if outside := b.outsiders(); outside != "" {
		b.unknown("/principals", b.m.words.File+" does not tell whether "+outside+" exists")
	}
	return b.launch
}

// outsiders is a role or user that policies and grants name and the plan does not make; "" if there
// is none.
func (b *builder) outsiders() string {
	there := func(name string) bool {
		a, err := arn.Parse(name)
		return err != nil || name == arn.Root(a.Account) ||
			slices.ContainsFunc(b.sc.Principals, func(p format.Principal) bool { return p.ARN == name })
	}
	for _, st := range b.sc.Setup {
		if !there(st.Params.GranteePrincipal) {
			return st.Params.GranteePrincipal
		}
	}
	return ""
}
