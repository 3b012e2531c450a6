package remedy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/jsonedit"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A Kind is what a step changes.
type Kind uint8

// Kinds of steps, in the order in which steps are made.
const (
	CreatePrincipal Kind = iota
	ShareImage
	KeyState
	IdentityPolicy // a new inline policy
	ChangePolicy   // an identity policy, or a boundary, that is there
	OrgPolicy
	KeyPolicy
	Alias
	Grant
	SetupCall // a call of the setup is made otherwise
	AccountDefault
	Template
	Group
)

// A Step is one change of the real world.
type Step struct {
	Kind            Kind
	Account, Region string // where; the region is "" for global services
	Permission      string // that who makes it needs
	Target          string // ARN, id or name of what is changed
	Name            string // of a policy or alias, and other values by kind
	Path            string // of the first edit in the scenario
	Before, After   []byte // a policy, as the scenario has it and changed
	// Added are the statements that come to the policy, if that is all that changes.
	Added []any
	Grant *format.Grant
	// Principal is one that is made.
	Principal *format.Principal
	// Member is what a call or template gets anew, and Value its new value.
	Member, Value string
	// Template is the template after the change, and Devices those of its devices that change.
	Template *format.Template
	Devices  []string
	Edits    []format.Edit
}

var (
	keyPolicyAt = regexp.MustCompile(`^(/keys/(\d+)/policy)/`)
	setupAt     = regexp.MustCompile(`^/setup/(\d+)/params/(policy)?`)
	inlineAt    = regexp.MustCompile(`^(/principals/(\d+)/policies/(\d+)/policy)/`)
	boundaryAt  = regexp.MustCompile(`^(/principals/(\d+)/boundary)/`)
	orgAt       = regexp.MustCompile(`^(/accounts/(\d+)/[sr]cps/(\d+)/policy)/`)
	grantAt     = regexp.MustCompile(`^/keys/(\d+)/grants/-$`)
	stateAt     = regexp.MustCompile(`^/keys/(\d+)/state$`)
	aliasAt     = regexp.MustCompile(`^/keys/(\d+)/aliases/-$`)
	newInlineAt = regexp.MustCompile(`^/principals/(\d+)/policies/-$`)
	defaultAt   = regexp.MustCompile(`^/accounts/(\d+)/ebs/([^/]+)/defaultKmsKeyId$`)
	imageAt     = regexp.MustCompile(`^/images/(\d+)/sharedWith/-$`)
	templateAt  = regexp.MustCompile(`^/launch/templates/(\d+)/`)
)

// builder collects steps.
type builder struct {
	sc    *format.Scenario
	src   []byte
	steps []Step
}

// Steps are the changes of a patch of a scenario, in order.
func Steps(sc *format.Scenario, patch []format.Edit) ([]Step, error) {
	b := &builder{sc: sc}
	var err error
	if b.src, err = sc.Encode(); err != nil {
		return nil, err
	}
	for _, e := range patch {
		if err := b.add(e); err != nil {
			return nil, fmt.Errorf("%s %s: %w", e.Op, e.Path, err)
		}
	}
	if err := b.templates(patch); err != nil {
		return nil, err
	}
	slices.SortStableFunc(b.steps, func(x, y Step) int { return int(x.Kind) - int(y.Kind) })
	return b.steps, nil
}

// match gives the numbers of a place.
func match(re *regexp.Regexp, path string) (at string, i []int, ok bool) {
	m := re.FindStringSubmatch(path)
	if m == nil {
		return "", nil, false
	}
	for _, s := range m[1:] {
		if n, err := strconv.Atoi(s); err == nil {
			i = append(i, n)
		} else if at == "" {
			at = s
		}
	}
	return at, i, true
}

// add makes a step of an edit, or adds it to the step that changes the same thing.
func (b *builder) add(e format.Edit) error {
	sc := b.sc
	if at, i, ok := match(keyPolicyAt, e.Path); ok {
		k := &sc.Keys[i[0]]
		return b.document(e, at, Step{Kind: KeyPolicy, Account: k.Account, Region: k.Region, Permission: "kms:PutKeyPolicy", Target: k.ARN})
	}
	if at, i, ok := match(inlineAt, e.Path); ok {
		p := &sc.Principals[i[0]]
		return b.document(e, at, b.principal(p, Step{Kind: ChangePolicy, Name: p.Policies[i[1]].Name}))
	}
	if at, i, ok := match(boundaryAt, e.Path); ok {
		p := &sc.Principals[i[0]]
		s := b.principal(p, Step{Kind: ChangePolicy})
		s.Permission = "iam:CreatePolicyVersion"
		return b.document(e, at, s)
	}
	if at, i, ok := match(orgAt, e.Path); ok {
		a := &sc.Accounts[i[0]]
		list := a.SCPs
		if strings.Contains(at, "/rcps/") {
			list = a.RCPs
		}
		return b.document(e, at, Step{Kind: OrgPolicy, Account: a.ID, Permission: "organizations:UpdatePolicy", Target: a.ID, Name: list[i[1]].Name})
	}
	if _, i, ok := match(setupAt, e.Path); ok {
		return b.setup(e, i[0])
	}
	if strings.HasPrefix(e.Path, "/launch/") {
		return b.launch(e)
	}
	s, err := b.value(e)
	if s.Kind == IdentityPolicy && err == nil && b.joined(s, e) {
		return nil
	}
	s.Path, s.Edits = e.Path, []format.Edit{e}
	if err == nil {
		b.steps = append(b.steps, s)
	}
	return err
}

// joined puts the statements of a new policy into one of the same name that the principal gets
// already: there cannot be two.
func (b *builder) joined(s Step, e format.Edit) bool {
	i := slices.IndexFunc(b.steps, func(o Step) bool { return o.Kind == IdentityPolicy && o.Target == s.Target && o.Name == s.Name })
	if i < 0 {
		return false
	}
	type document struct {
		Version   string
		Statement []json.RawMessage
	}
	var have, more document
	if json.Unmarshal(b.steps[i].After, &have) != nil || json.Unmarshal(s.After, &more) != nil || have.Version != more.Version {
		return false
	}
	have.Statement = append(have.Statement, more.Statement...)
	after, err := json.Marshal(have)
	if err != nil {
		return false
	}
	b.steps[i].After, b.steps[i].Edits = after, append(b.steps[i].Edits, e)
	return true
}

// principal is a step that changes a role or user.
func (b *builder) principal(p *format.Principal, s Step) Step {
	a, _ := arn.Parse(p.ARN) // the format was checked
	s.Account, s.Target, s.Permission = a.Account, p.ARN, "iam:PutRolePolicy"
	if p.Kind == format.KindUser {
		s.Permission = "iam:PutUserPolicy"
	}
	return s
}

// document is an edit of a policy.
func (b *builder) document(e format.Edit, at string, s Step) error {
	i := slices.IndexFunc(b.steps, func(o Step) bool { return o.Before != nil && strings.HasPrefix(o.Path, at+"/") })
	if i < 0 {
		src, err := jsonedit.Value(b.src, at)
		if err != nil {
			return err
		}
		s.Before, s.After, s.Path = []byte(dedent(src)), []byte(dedent(src)), e.Path
		i = len(b.steps)
		b.steps = append(b.steps, s)
	}
	o := &b.steps[i]
	var err error
	if o.After, err = jsonedit.Apply(o.After, e.Op, e.Path[len(at):], Value(e)); err != nil {
		return err
	}
	o.Edits = append(o.Edits, e)
	var v any
	if e.Op == "add" && e.Path == at+"/Statement/-" && json.Unmarshal(e.Value, &v) == nil && len(o.Added) == len(o.Edits)-1 {
		o.Added = append(o.Added, v)
	} else {
		o.Added = nil
	}
	return nil
}

// dedent lays out a policy by itself.
func dedent(src []byte) string {
	lines := strings.Split(string(src), "\n")
	least := -1
	for _, l := range lines[1:] {
		if n := len(l) - len(strings.TrimLeft(l, " \t")); strings.TrimSpace(l) != "" && (least < 0 || n < least) {
			least = n
		}
	}
	for i := range lines[1:] {
		lines[i+1] = lines[i+1][min(max(least, 0), len(lines[i+1])):]
	}
	return strings.Join(lines, "\n")
}

// setup is an edit of a call before the launch.
func (b *builder) setup(e format.Edit, i int) error {
	st := &b.sc.Setup[i]
	a, _ := arn.Parse(st.Params.Key)
	s := Step{Kind: SetupCall, Account: a.Account, Region: a.Region, Permission: st.Call, Target: st.Params.Key, Name: strings.TrimPrefix(st.Call, "kms:")}
	if at := fmt.Sprintf("/setup/%d/params/policy", i); strings.HasPrefix(e.Path, at+"/") {
		s.Kind, s.Permission = KeyPolicy, "kms:PutKeyPolicy"
		return b.document(e, at, s)
	}
	var v string
	_ = json.Unmarshal(e.Value, &v)
	s.Value, s.Member = v, e.Path[strings.LastIndexByte(e.Path, '/')+1:]
	s.Path, s.Edits = e.Path, []format.Edit{e}
	if st.Call == format.CallCreateGrant {
		s.Grant = &format.Grant{GranteePrincipal: st.Params.GranteePrincipal, Operations: st.Params.Operations, Constraints: st.Params.Constraints}
		if s.Member == "granteePrincipal" {
			s.Grant.GranteePrincipal = v
		}
	}
	b.steps = append(b.steps, s)
	return nil
}

// launch is an edit of a template or the group: all of one template are one step.
func (b *builder) launch(e format.Edit) error {
	l := &b.sc.Launch
	s := Step{Kind: Group, Account: l.Account, Region: b.sc.Region, Permission: "autoscaling:UpdateAutoScalingGroup", Path: e.Path, Edits: []format.Edit{e}}
	if l.Group != nil {
		s.Target = l.Group.Name
	}
	_ = json.Unmarshal(e.Value, &s.Value) // null: the default role
	_, i, ok := match(templateAt, e.Path)
	if !ok {
		b.steps = append(b.steps, s)
		return nil
	}
	t := &l.Templates[i[0]]
	s.Kind, s.Target, s.Permission = Template, t.Name, "ec2:CreateLaunchTemplateVersion"
	s.Member = e.Path[strings.LastIndexByte(e.Path, '/')+1:]
	at := slices.IndexFunc(b.steps, func(o Step) bool { return o.Kind == Template && o.Target == s.Target })
	if at < 0 {
		b.steps = append(b.steps, s)
		return nil
	}
	o := &b.steps[at]
	o.Edits = append(o.Edits, e)
	return nil
}

// templates gives the steps of templates what they are after the patch.
func (b *builder) templates(patch []format.Edit) error {
	var after *format.Scenario
	for i := range b.steps {
		s := &b.steps[i]
		if s.Kind != Template {
			continue
		}
		if after == nil {
			var err error
			if after, err = b.sc.Patched(patch); err != nil {
				return err
			}
		}
		_, n, _ := match(templateAt, s.Path)
		s.Template = &after.Launch.Templates[n[0]]
		before := b.sc.Launch.Templates[n[0]].BlockDevices
		for j, d := range s.Template.BlockDevices {
			if j >= len(before) || !reflect.DeepEqual(before[j], d) {
				s.Devices = append(s.Devices, d.Device)
			}
		}
	}
	return nil
}

// value is an edit of something that is no policy.
func (b *builder) value(e format.Edit) (Step, error) {
	sc := b.sc
	var text string
	_ = json.Unmarshal(e.Value, &text) // where it is one
	ofKey := func(k *format.Key, s Step) Step {
		s.Account, s.Region, s.Target = k.Account, k.Region, k.ARN
		return s
	}
	if e.Path == "/principals/-" {
		var p format.Principal
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return Step{}, err
		}
		s := b.principal(&p, Step{Kind: CreatePrincipal, Principal: &p})
		s.Permission = map[string]string{format.KindLinked: "iam:CreateServiceLinkedRole", format.KindUser: "iam:CreateUser"}[p.Kind]
		if s.Permission == "" {
			s.Permission = "iam:CreateRole"
		}
		return s, nil
	}
	if _, i, ok := match(newInlineAt, e.Path); ok {
		var p format.InlinePolicy
		err := json.Unmarshal(e.Value, &p)
		s := b.principal(&sc.Principals[i[0]], Step{Kind: IdentityPolicy, Name: p.Name, After: p.Policy, Principal: &sc.Principals[i[0]]})
		return s, err
	}
	if _, i, ok := match(grantAt, e.Path); ok {
		var g format.Grant
		err := json.Unmarshal(e.Value, &g)
		return ofKey(&sc.Keys[i[0]], Step{Kind: Grant, Permission: "kms:CreateGrant", Grant: &g}), err
	}
	if _, i, ok := match(stateAt, e.Path); ok {
		s := ofKey(&sc.Keys[i[0]], Step{Kind: KeyState, Permission: "kms:EnableKey", Name: sc.Keys[i[0]].State})
		switch s.Name {
		case "PendingDeletion":
			s.Permission = "kms:CancelKeyDeletion"
		case "PendingImport":
			s.Permission = "kms:ImportKeyMaterial"
		}
		return s, nil
	}
	if _, i, ok := match(aliasAt, e.Path); ok {
		return ofKey(&sc.Keys[i[0]], Step{Kind: Alias, Permission: "kms:CreateAlias", Name: text}), nil
	}
	if region, i, ok := match(defaultAt, e.Path); ok {
		return Step{Kind: AccountDefault, Account: sc.Accounts[i[0]].ID, Region: region, Permission: "ec2:ResetEbsDefaultKmsKeyId", Target: sc.Accounts[i[0]].ID, Value: text}, nil
	}
	if _, i, ok := match(imageAt, e.Path); ok {
		m := &sc.Images[i[0]]
		return Step{Kind: ShareImage, Account: m.Owner, Region: sc.Region, Permission: "ec2:ModifyImageAttribute", Target: m.ID, Value: text}, nil
	}
	return Step{}, fmt.Errorf("no change of the real world is known for it")
}
