package format

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// Calls of a setup.
const (
	CallCreateKey    = "kms:CreateKey"
	CallPutKeyPolicy = "kms:PutKeyPolicy"
	CallCreateGrant  = "kms:CreateGrant"
)

// Operations of a launch.
const (
	AutoScalingLaunch = "AutoScalingLaunch"
	RunInstances      = "RunInstances"
	StartInstances    = "StartInstances"
	AttachVolume      = "AttachVolume"
	CreateVolume      = "CreateVolume"
	CopySnapshot      = "CopySnapshot"
)

// Kinds and markets of a template, kinds of principals, states of keys and grants.
const (
	KindLaunchTemplate      = "launch-template"
	KindLaunchConfiguration = "launch-configuration"
	KindVolume              = "volume"

	MarketOnDemand, MarketSpot, MarketMixed = "on-demand", "spot", "mixed"

	KindRole, KindUser, KindLinked = "role", "user", "service-linked-role"

	ManagerCustomer, ManagerAWS = "CUSTOMER", "AWS"

	GrantActive, GrantRetired, GrantRevoked = "active", "retired", "revoked"
)

// rules are the words for why something failed.
func rules() []string {
	return []string{
		"not-in-key-policy", "action-not-in-key-policy", "condition-not-met", "no-identity-policy", "boundary-no-allow", "no-allow-scp",
		"explicit-deny-key-policy", "explicit-deny-scp", "explicit-deny-rcp", "explicit-deny-identity", "explicit-deny-boundary",
		"cross-account-needs-grant", "cross-account-key-policy-missing", "aws-managed-key-cross-account",
		"grant-operation-missing", "grant-constraint-not-met", "grant-not-subset", "grant-retired", "grant-revoked",
		"key-disabled", "key-pending-deletion", "key-pending-import", "key-not-symmetric",
		"key-wrong-region", "key-not-found", "alias-not-found", "parameter-dependency", "image-not-shared",
		"invalid-principal", "lockout-safety-check", "grantee-not-found",
		// What the shared scenarios have no word for.
		"no-service-linked-role", "parameter-combination", "malformed-policy", "grant-not-possible",
	}
}

// oneOf checks a word of a fixed vocabulary.
func (p *parser) oneOf(path, got string, words ...string) {
	if !slices.Contains(words, got) {
		p.wrong(path, "%q is none of %s", got, strings.Join(words, ", "))
	}
}

// check finds what is wrong with a file whose members are all there and of the right types.
func (p *parser) check(s *Scenario) {
	p.oneOf("schema", s.Schema, Schema)
	p.oneOf("source.basis", s.Source.Basis, "as-posted", "derived")
	if s.Partition != "" {
		p.oneOf("partition", s.Partition, arn.Partition)
	}
	if s.AssumesModel != "" {
		p.oneOf("assumesModel", s.AssumesModel, "rewrap", "datakey")
	}
	if sensitive := slices.Contains(s.Tags, "model-sensitive"); sensitive != (s.AssumesModel != "") {
		p.wrong("tags", "the tag model-sensitive and the member assumesModel go together")
	}
	p.checkAccounts(s)
	p.checkKeys(s)
	p.checkPrincipals(s)
	p.checkImages(s)
	p.checkSetup(s)
	p.checkLaunch(s)
	p.checkUnknown(s)
	if s.Expected != nil {
		p.checkExpected(s)
	}
}

func (p *parser) checkAccounts(s *Scenario) {
	for i, a := range s.Accounts {
		path := fmt.Sprintf("accounts[%d].id", i)
		if !arn.IsAccount(a.ID) {
			p.wrong(path, "%q is not an account id of 12 digits", a.ID)
		}
		if slices.IndexFunc(s.Accounts, func(b Account) bool { return b.ID == a.ID }) < i {
			p.wrong(path, "account %s is listed twice", a.ID)
		}
	}
}

// account checks that an account is listed.
func (p *parser) account(s *Scenario, path, id string) {
	if !slices.ContainsFunc(s.Accounts, func(a Account) bool { return a.ID == id }) {
		p.wrong(path, "account %q is not among the accounts", id)
	}
}

func (p *parser) checkKeys(s *Scenario) {
	for i, k := range s.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		p.account(s, path+".account", k.Account)
		if a, err := arn.Parse(k.ARN); err != nil || a.Type() != "key" || k.ARN != arn.KMSKey(k.Region, k.Account, a.ID()) {
			p.wrong(path+".arn", "%q is not the ARN of a key of account %s in %s", k.ARN, k.Account, k.Region)
		}
		if slices.IndexFunc(s.Keys, func(b Key) bool { return b.ARN == k.ARN }) < i {
			p.wrong(path+".arn", "this key is listed twice")
		}
		p.oneOf(path+".manager", k.Manager, ManagerCustomer, ManagerAWS)
		p.oneOf(path+".state", k.State, "Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport", "PendingReplicaDeletion", "Unavailable", "Updating")
		for j, name := range k.Aliases {
			if !strings.HasPrefix(name, "alias/") {
				p.wrong(fmt.Sprintf("%s.aliases[%d]", path, j), "the name of an alias begins with alias/")
			}
		}
		for j, g := range k.Grants {
			at := fmt.Sprintf("%s.grants[%d]", path, j)
			p.oneOf(at+".status", g.Status, GrantActive, GrantRetired, GrantRevoked)
			if g.IssuingAccount != "" {
				p.account(s, at+".issuingAccount", g.IssuingAccount)
			}
		}
	}
}

func (p *parser) checkPrincipals(s *Scenario) {
	for i, q := range s.Principals {
		path := fmt.Sprintf("principals[%d]", i)
		p.oneOf(path+".kind", q.Kind, KindRole, KindUser, KindLinked)
		a, err := arn.Parse(q.ARN)
		kind := KindRole
		if q.Kind == KindUser {
			kind = KindUser
		}
		if err != nil || a.Service != "iam" || a.Type() != kind || a.ID() == "" || (q.Kind == KindLinked) != arn.IsServiceLinkedRole(q.ARN) {
			p.wrong(path+".arn", "%q is not the ARN of a %s", q.ARN, q.Kind)
			continue
		}
		p.account(s, path+".arn", a.Account)
		if q.Kind == KindLinked && (len(q.Policies) > 0 || q.Boundary != nil) {
			p.wrong(path, "a service-linked role cannot be given policies or a boundary")
		}
	}
}

func (p *parser) checkImages(s *Scenario) {
	for i, x := range s.Snapshots {
		path := fmt.Sprintf("snapshots[%d]", i)
		p.account(s, path+".owner", x.Owner)
		switch {
		case x.Encrypted != (x.Key != nil):
			p.wrong(path+".key", "an encrypted snapshot has a key, any other has none")
		case x.Key != nil && s.Key(*x.Key) == nil:
			p.wrong(path+".key", "key %s is not among the keys", *x.Key)
		}
	}
	for i, x := range s.Images {
		path := fmt.Sprintf("images[%d]", i)
		p.account(s, path+".owner", x.Owner)
		_, unseen := s.Unknown[fmt.Sprintf("/images/%d", i)]
		if len(x.Devices) == 0 && !unseen {
			p.wrong(path+".devices", "an image has at least one device")
		}
		for j, d := range x.Devices {
			p.snapshot(s, fmt.Sprintf("%s.devices[%d].snapshotId", path, j), d.SnapshotID)
		}
	}
}

func (p *parser) snapshot(s *Scenario, path, id string) {
	if !slices.ContainsFunc(s.Snapshots, func(x Snapshot) bool { return x.ID == id }) {
		p.wrong(path, "snapshot %q is not among the snapshots", id)
	}
}

func (p *parser) checkSetup(s *Scenario) {
	for i, st := range s.Setup {
		path := fmt.Sprintf("setup[%d]", i)
		p.oneOf(path+".call", st.Call, CallCreateKey, CallPutKeyPolicy, CallCreateGrant)
		p.actor(s, path+".as", st.As)
		if s.Key(st.Params.Key) == nil {
			p.wrong(path+".params.key", "key %s is not among the keys", st.Params.Key)
		}
		switch grant := st.Call == CallCreateGrant; {
		case grant && (st.Params.GranteePrincipal == "" || len(st.Params.Operations) == 0):
			p.wrong(path+".params", "a grant needs granteePrincipal and operations")
		case !grant && st.Params.Policy == nil:
			p.wrong(path+".params", "the member %q is missing", "policy")
		}
	}
}

// actor checks that somebody exists who makes a call. EC2 is also called with service-linked roles:
// those of fleets.
func (p *parser) actor(s *Scenario, path, who string) {
	fleet := path == "launch.caller" && s.Launch.Operation == RunInstances
	if a, err := arn.Parse(who); err == nil && who == arn.Root(a.Account) {
		p.account(s, path, a.Account)
		return
	}
	if !slices.ContainsFunc(s.Principals, func(q Principal) bool { return q.ARN == who && (q.Kind != KindLinked || fleet) }) {
		p.wrong(path, "%q is neither a root user nor among the roles and users", who)
	}
}

func (p *parser) checkLaunch(s *Scenario) {
	l := &s.Launch
	p.oneOf("launch.operation", l.Operation, AutoScalingLaunch, RunInstances, StartInstances, AttachVolume, CreateVolume, CopySnapshot)
	p.account(s, "launch.account", l.Account)
	group := l.Operation == AutoScalingLaunch
	switch {
	case group && l.Group == nil:
		p.wrong("launch", "the member %q is missing", "group")
	case group && l.Caller != nil:
		p.wrong("launch.caller", "the role of the group is the caller: this must be null")
	case !group && l.Caller == nil:
		p.wrong("launch.caller", "somebody has to call EC2: this must not be null")
	case !group:
		p.actor(s, "launch.caller", *l.Caller)
	}
	if existing := l.Operation == StartInstances || l.Operation == AttachVolume; existing {
		if len(l.ExistingVolumes) == 0 {
			p.wrong("launch", "%s needs existingVolumes", l.Operation)
		}
	} else if len(l.Templates) == 0 {
		p.wrong("launch.templates", "%s needs a template", l.Operation)
	}
	for i, t := range l.Templates {
		path := fmt.Sprintf("launch.templates[%d]", i)
		p.oneOf(path+".kind", t.Kind, KindLaunchTemplate, KindLaunchConfiguration, KindVolume)
		p.oneOf(path+".market", t.Market, MarketOnDemand, MarketSpot, MarketMixed)
		if t.ImageID != nil && !slices.ContainsFunc(s.Images, func(x Image) bool { return x.ID == *t.ImageID }) {
			p.wrong(path+".imageId", "image %q is not among the images", *t.ImageID)
		}
		for j, d := range t.BlockDevices {
			if l.Operation == CopySnapshot && d.EBS.SnapshotID == "" {
				p.wrong(fmt.Sprintf("%s.blockDevices[%d].ebs", path, j), "CopySnapshot needs snapshotId")
			}
			if d.EBS.SnapshotID != "" {
				p.snapshot(s, fmt.Sprintf("%s.blockDevices[%d].ebs.snapshotId", path, j), d.EBS.SnapshotID)
			}
		}
	}
	for i, v := range l.ExistingVolumes {
		if v.Key != nil && s.Key(*v.Key) == nil {
			p.wrong(fmt.Sprintf("launch.existingVolumes[%d].key", i), "key %s is not among the keys", *v.Key)
		}
	}
}

// checkUnknown checks that the facts that are not known have a place.
func (p *parser) checkUnknown(s *Scenario) {
	if len(s.Unknown) == 0 {
		return
	}
	doc, err := ParseAny(s.source)
	if err != nil {
		p.wrong("unknown", "%v", err)
		return
	}
	for _, path := range slices.Sorted(maps.Keys(s.Unknown)) {
		parts, err := pointer(path)
		if err == nil {
			_, err = get(doc, parts)
		}
		if err != nil {
			p.wrong("unknown."+path, "%v", err)
		}
	}
}

func (p *parser) checkExpected(s *Scenario) {
	e := s.Expected
	if len(e.Setup) != len(s.Setup) {
		path := "expected"
		if len(e.Setup) > 0 {
			path = "expected.setup"
		}
		p.wrong(path, "setup has %d steps, expected.setup %d", len(s.Setup), len(e.Setup))
	}
	for i, st := range e.Setup {
		if st.OK == (st.Error != "") {
			p.wrong(fmt.Sprintf("expected.setup[%d]", i), "a step that fails has an error, any other has none")
		}
	}
	for i, v := range e.Volumes {
		p.oneOf(fmt.Sprintf("expected.volumes[%d].chosenBy", i), v.ChosenBy, "template", "snapshot", "account-default", "aws-managed", "existing", "none")
	}
	if e.Launches != (len(e.Failures) == 0) || e.Launches != (e.Symptom == nil) || e.Launches != (e.Fix == nil) {
		p.wrong("expected", "what launches has no failures, symptom and fix; what does not has all of them")
	}
	for i, f := range e.Failures {
		path := fmt.Sprintf("expected.failures[%d]", i)
		p.oneOf(path+".step", f.Step, "setup", "group-create", "request", "resolve-key", "create-volume", "attach", "decrypt")
		p.oneOf(path+".rule", f.Rule, rules()...)
	}
	if e.Symptom != nil {
		p.oneOf("expected.symptom.seenBy", e.Symptom.SeenBy, "auto-scaling-activity", "instance", "api", "volume", "snapshot")
	}
	if e.Fix == nil || p.fixed {
		return
	}
	for i, patch := range e.Fix.Patches() {
		path := "expected.fix.patch"
		if i > 0 {
			path = fmt.Sprintf("expected.fix.alternatives[%d].patch", i-1)
		}
		if _, err := patched(s.source, patch); err != nil {
			p.wrong(path, "this cannot be applied to the scenario: %v", err)
		}
	}
}
