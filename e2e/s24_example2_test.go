package e2e_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// Example 2: owner has the key, user has the group and its service-linked role.
type example2 struct {
	owner, user *client
	key         string
}

// newExample2 makes both accounts and the key with the page's statements for external accounts
// that are asked for.
func newExample2(t *testing.T, statements ...func(account string) string) example2 {
	t.Helper()
	e := example2{owner: admin(t), user: adminOf(shared.URL, seed.NewAccount())}
	e.user.serviceRole(t)
	all := []string{seed.Full(seed.Root(e.owner.account))}
	for _, s := range statements {
		all = append(all, s(e.user.account))
	}
	e.key = e.owner.key(t, seed.Policy(all...))
	return e
}

// What a caller is told whom only its own account's policies do not let in, and what it is told
// otherwise: then the key is not named.
const (
	silent = "because no identity-based policy allows the kms:CreateGrant action"
	hidden = "on this resource because the resource does not exist in this Region, no resource-based policies allow access, " +
		"or a resource-based policy explicitly denies access"
)

// p3 and p4 are the page's statements for an external account.
func p3(account string) string { return seed.Use(seed.Root(account)) }
func p4(account string) string { return seed.Grant(account) }

// grantInput is the page's create-grant command.
func (e example2) grantInput() *kms.CreateGrantInput {
	in := &kms.CreateGrantInput{KeyId: new(e.key), GranteePrincipal: new(seed.Role(e.user.account))}
	for _, op := range seed.Operations() {
		in.Operations = append(in.Operations, kmstypes.GrantOperation(op))
	}
	return in
}

// delegate makes a user of the group's account with the page's policy, who makes the grant.
func (e example2) delegate(t *testing.T) *kms.CreateGrantOutput {
	t.Helper()
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	return must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
}

// launchOK is a launch from a plain image under the key of the other account.
func (e example2) launchOK(t *testing.T) (instance string) {
	t.Helper()
	g := e.user.group(t, 1, rootDevice(e.key), dataDevice(e.key))
	return g.launchOK(t, 1, e.owner, map[string]string{"/dev/xvda": e.key, "/dev/sdf": e.key})[0]
}

func (e example2) launchFail(t *testing.T, d device) authorization {
	t.Helper()
	g := e.user.group(t, 1, d)
	return e.user.why(t, g.launchFail(t, e.owner, e.key))
}

func TestS24_KeyPolicyAndGrantMustBeCombined(t *testing.T) {
	e := newExample2(t, p3, p4)
	g := e.user.group(t, 1, rootDevice(e.key))
	id := g.launchFail(t, e.owner, e.key)
	session, role := seed.Session(e.user.account), seed.Role(e.user.account)
	why := e.user.why(t, id)
	why.denied(t, session, "kms:CreateGrant", e.key, "aws kms create-grant", role)
	onlyGrant(t, why)

	// Naming the role itself in the other account's key policy does not help either.
	e.owner.setPolicy(t, e.key, seed.Full(seed.Root(e.owner.account)), p3(e.user.account), p4(e.user.account), seed.Use(role), seed.Attach(role))
	before := len(g.activities(t))
	eventually(t, "another failed attempt", func() (bool, string) {
		all := g.activities(t)
		n := len(slices.DeleteFunc(slices.Clone(all), func(a activity) bool { return a.EndTime == nil }))
		return n > before, g.state(t)
	})
	newest := g.activities(t)
	i := slices.IndexFunc(newest, func(a activity) bool { return a.EndTime != nil })
	if newest[i].StatusCode != "Cancelled" || str(newest[i].StatusMessage) != diedText {
		t.Fatalf("with the role in the key policy: %s", g.state(t))
	}
	why = e.user.why(t, launching.FindStringSubmatch(str(newest[i].Description))[1])
	why.denied(t, session, "kms:CreateGrant", e.key, "aws kms create-grant")
	onlyGrant(t, why)

	e.delegate(t)
	g.launchOK(t, 1, e.owner, map[string]string{"/dev/xvda": e.key})
}

// onlyGrant checks that an explanation proposes a grant and no change of policies that cannot help.
func onlyGrant(t *testing.T, a authorization) {
	t.Helper()
	var kinds []string
	for _, e := range a.Evaluations {
		for _, f := range e.Fixes {
			kinds = append(kinds, f.Kind)
		}
	}
	if len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return k != "grant" }) {
		t.Errorf("the proposed changes are %v, want grants only: %s", kinds, a.text())
	}
}

func TestS25_TrustInAnAccountGivesItsUsersNothingByItself(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "someone")
	enc := &kms.EncryptInput{KeyId: &e.key, Plaintext: []byte("x")}
	out, err := u.kms.Encrypt(t.Context(), enc)
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:Encrypt", e.key)
	desc, err := u.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &e.key})
	refused(desc, err)(t, "AccessDeniedException", "kms:DescribeKey")
	grant, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(grant, err)(t, "AccessDeniedException", "kms:CreateGrant")

	// With a policy of its own for one action, exactly that action works.
	e.user.allow(t, "someone", "encrypt", seed.Identity("kms:Encrypt", e.key))
	must(u.kms.Encrypt(t.Context(), enc))(t)
	desc, err = u.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &e.key})
	refused(desc, err)(t, "AccessDeniedException", "kms:DescribeKey")
	grant, err = u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(grant, err)(t, "AccessDeniedException", "kms:CreateGrant")

	// What the key policy does not give the account, no policy in the account can give.
	e.user.allow(t, "someone", "everything", seed.Identity("kms:*", "*"))
	must(u.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &e.key}))(t)
	list, err := u.kms.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &e.key})
	refused(list, err)(t, "AccessDeniedException", "kms:ListGrants")
	put, err := u.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &e.key, Policy: new(seed.Policy(seed.Full(u.arn(t))))})
	refused(put, err)(t, "AccessDeniedException", "kms:PutKeyPolicy")
}

func TestS25_RootOfTheAccountMayAndAThirdAccountMayNot(t *testing.T) {
	e := newExample2(t, p3, p4)
	enc := &kms.EncryptInput{KeyId: &e.key, Plaintext: []byte("x")}
	must(rootOf(e.user.url, e.user.account).kms.Encrypt(t.Context(), enc))(t)
	third := seed.NewAccount()
	for _, who := range []*client{rootOf(e.user.url, third), adminOf(e.user.url, third)} {
		out, err := who.kms.Encrypt(t.Context(), enc)
		refused(out, err)(t, "AccessDeniedException", "kms:Encrypt", hidden)
	}
	// The owner's own users are not affected.
	must(e.owner.kms.Encrypt(t.Context(), enc))(t)
	out, err := e.owner.user(t, "someone").kms.Encrypt(t.Context(), enc)
	refused(out, err)(t, "AccessDeniedException", "no identity-based policy allows the kms:Encrypt action")
}

func TestS25_AKeyOfAnotherAccountDoesNotShowWhetherItExists(t *testing.T) {
	e := newExample2(t)
	absent := seed.Key(e.owner.account, "00000000-1111-2222-3333-444444444444")
	existing, err1 := e.user.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &e.key})
	a := refused(existing, err1)(t, "AccessDeniedException")
	missing, err2 := e.user.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &absent})
	b := refused(missing, err2)(t, "AccessDeniedException")
	id := regexp.MustCompile("[0-9a-f]{32}") // each refusal has its own
	plain := func(message, key string) string {
		return id.ReplaceAllString(strings.ReplaceAll(message, key, "KEY"), "ID")
	}
	if plain(a.ErrorMessage(), e.key) != plain(b.ErrorMessage(), absent) {
		t.Errorf("the messages differ:\n%s\n%s", a.ErrorMessage(), b.ErrorMessage())
	}
}

func TestS26_TheDirectCommandNeedsTheStatementWithoutCondition(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)

	e.owner.setPolicy(t, e.key, seed.Full(seed.Root(e.owner.account)), p3(e.user.account), seed.Attach(seed.Root(e.user.account)))
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant", hidden)
	if n := len(e.owner.grants(t, e.key)); n != 1 {
		t.Errorf("there are %d grants, want the first alone", n)
	}
}

func TestS27_TheGrantIsMadeAsThePageSays(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	made := must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	if len(str(made.GrantId)) != 64 || str(made.GrantToken) == "" {
		t.Errorf("CreateGrant answers id %q, token %q", str(made.GrantId), str(made.GrantToken))
	}
	all := e.owner.grants(t, e.key)
	if len(all) != 1 {
		t.Fatalf("there are %d grants", len(all))
	}
	g := all[0]
	var ops []string
	for _, op := range g.Operations {
		ops = append(ops, string(op))
	}
	want := seed.Operations()
	slices.Sort(ops)
	slices.Sort(want)
	if str(g.GrantId) != *made.GrantId || str(g.GranteePrincipal) != seed.Role(e.user.account) || !slices.Equal(ops, want) ||
		str(g.IssuingAccount) != seed.Root(e.user.account) || str(g.KeyId) != e.key || g.CreationDate == nil || g.RetiringPrincipal != nil || g.Constraints != nil {
		t.Errorf("ListGrants shows %+v", g)
	}

	again := must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	if str(again.GrantId) == *made.GrantId || len(e.owner.grants(t, e.key)) != 2 {
		t.Error("a second call without a name did not make a second grant")
	}
}

func TestS27_TheGrantNeedsTheKeysARNAndItsRegionAndAnExistingRole(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", "*"))
	byID := e.grantInput()
	byID.KeyId = new(e.key[strings.LastIndexByte(e.key, '/')+1:])
	out, err := u.kms.CreateGrant(t.Context(), byID)
	refused(out, err)(t, "NotFoundException", seed.Key(e.user.account, *byID.KeyId))

	out, err = u.in("us-east-1").kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "NotFoundException")

	absent := e.grantInput()
	absent.GranteePrincipal = new(seed.Role(e.user.account) + "_absent")
	out, err = u.kms.CreateGrant(t.Context(), absent)
	refused(out, err)(t, "InvalidArnException", *absent.GranteePrincipal)

	nobody := e.grantInput()
	nobody.GranteePrincipal = new("AWSServiceRoleForAutoScaling")
	out, err = u.kms.CreateGrant(t.Context(), nobody)
	refused(out, err)(t, "InvalidArnException")

	wrong := e.grantInput()
	wrong.Operations = append(wrong.Operations, "Sign")
	out, err = u.kms.CreateGrant(t.Context(), wrong)
	refused(out, err)(t, "ValidationException", "Sign")

	if n := len(e.owner.grants(t, e.key)); n != 0 {
		t.Errorf("refused calls made %d grants", n)
	}
}

func TestS28_AGroupUsesTheKeyOfAnotherAccountFromAPlainImage(t *testing.T) {
	e := newExample2(t, p3, p4)
	made := e.delegate(t)
	id := e.launchOK(t)
	for _, action := range []string{"GenerateDataKeyWithoutPlaintext", "CreateGrant"} {
		e.user.because(t, id, "kms:"+action, e.key, statement{PolicyType: "GRANT"})
	}
	// The parent, and one child for each of the two volumes.
	all := e.owner.grants(t, e.key)
	if len(all) != 3 {
		t.Errorf("there are %d grants: %+v", len(all), all)
	}
	for _, g := range all {
		if str(g.IssuingAccount) != seed.Root(e.user.account) {
			t.Errorf("grant %s was issued by %s", *g.GrantId, str(g.IssuingAccount))
		}
	}
	if !slices.ContainsFunc(all, func(g kmstypes.GrantListEntry) bool { return *g.GrantId == *made.GrantId }) {
		t.Error("the page's grant is gone")
	}
	// Both accounts see the use of the key; its owner learns the account that used it.
	use := e.user.record(t, "GenerateDataKeyWithoutPlaintext", func(record) bool { return true })
	if use.UserIdentity.ARN != seed.Session(e.user.account) || use.SharedEventID == "" ||
		!slices.ContainsFunc(use.Resources, func(r resource) bool { return r.ARN == e.key && r.AccountID == e.owner.account }) {
		t.Errorf("the use of the key is recorded as %+v", use)
	}
	for who, principal := range map[*client]string{e.user: seed.Session(e.user.account), e.owner: e.user.account} {
		seen := slices.DeleteFunc(who.request(t, use.RequestID), func(a authorization) bool { return a.EventName != use.EventName })
		if len(seen) == 0 || seen[0].Principal != principal {
			t.Errorf("account %s sees %+v", who.account, seen)
		}
	}
	// Which grant it was is for the owner of the key to know.
	own := e.owner.request(t, use.RequestID)
	if !slices.ContainsFunc(own, func(a authorization) bool {
		return a.EventName == use.EventName && strings.Contains(a.text(), *made.GrantId)
	}) {
		t.Errorf("the owner does not see grant %s: %+v", *made.GrantId, own)
	}
	third := adminOf(shared.URL, seed.NewAccount())
	if status, body := third.kagimori(t, "GetAuthorizationDetails", map[string]string{"AuthorizationId": use.RequestID}, nil); status != 404 || !strings.Contains(string(body), "No authorization details") {
		t.Errorf("a third account sees %d %s", status, body)
	}
}

func TestS29_TheRequesterNeedsPermissionOnBothSides(t *testing.T) {
	t.Parallel()
	other := func(e example2) string { return seed.Key(e.owner.account, "00000000-1111-2222-3333-444444444444") }
	for name, c := range map[string]struct {
		statements []func(string) string
		policy     func(example2) string // "" is none
		reason     string
	}{
		"no identity policy":            {[]func(string) string{p3, p4}, nil, silent},
		"identity policy of other key":  {[]func(string) string{p3, p4}, func(e example2) string { return seed.Identity("kms:CreateGrant", other(e)) }, silent},
		"identity policy of other act":  {[]func(string) string{p3, p4}, func(e example2) string { return seed.Identity("kms:ListGrants", e.key) }, silent},
		"no statement in the key":       {[]func(string) string{p3}, func(e example2) string { return seed.Identity("kms:CreateGrant", e.key) }, hidden},
		"nothing in the key policy":     {nil, func(e example2) string { return seed.Identity("kms:CreateGrant", e.key) }, hidden},
		"statement for another account": {[]func(string) string{p3, func(string) string { return seed.Grant(seed.NewAccount()) }}, func(e example2) string { return seed.Identity("kms:CreateGrant", e.key) }, hidden},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExample2(t, c.statements...)
			u := e.user.user(t, "delegate")
			if c.policy != nil {
				e.user.allow(t, "delegate", "grant", c.policy(e))
			}
			out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
			refusal := refused(out, err)(t, "AccessDeniedException", u.arn(t), "kms:CreateGrant", c.reason)
			if n := len(e.owner.grants(t, e.key)); n != 0 {
				t.Errorf("the refused call made %d grants", n)
			}
			details := e.user.details(t, err)
			details.denied(t, u.arn(t), "kms:CreateGrant", e.key)
			if fix := map[string]string{silent: "identity-policy", hidden: "key-policy"}[c.reason]; !strings.Contains(details.text(), `"Kind": "`+fix+`"`) {
				t.Errorf("the explanation of %q proposes no change of kind %s: %s", refusal.ErrorMessage(), fix, details.text())
			}
		})
	}
}

func TestS29_WithPermissionOnBothSidesItWorks(t *testing.T) {
	e := newExample2(t, p3, p4)
	e.delegate(t)
	if n := len(e.owner.grants(t, e.key)); n != 1 {
		t.Errorf("there are %d grants", n)
	}
}

func TestS29_AUserOfTheKeysAccountMayGrantToo(t *testing.T) {
	e := newExample2(t, p3)
	u := e.owner.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	if g := e.owner.grants(t, e.key); len(g) != 1 || str(g[0].IssuingAccount) != seed.Root(e.owner.account) {
		t.Errorf("grants are %+v", g)
	}
	e.launchOK(t)
}

func TestS30_WithAllThreePartsEverythingWorks(t *testing.T) {
	e := newExample2(t, p3, p4)
	e.delegate(t)
	e.launchOK(t)
	// And users of the account use the key directly, with a policy of their own.
	u := e.user.user(t, "someone", seed.Identity("kms:Encrypt", e.key))
	must(u.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &e.key, Plaintext: []byte("x")}))(t)
}

func TestS30_WithoutTheUseStatementOnlyDirectUseIsLost(t *testing.T) {
	e := newExample2(t, p4)
	e.delegate(t)
	e.launchOK(t)
	u := e.user.user(t, "someone", seed.Identity("kms:*", "*"))
	out, err := u.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &e.key, Plaintext: []byte("x")})
	refused(out, err)(t, "AccessDeniedException", "kms:Encrypt", hidden)
}

func TestS30_WithoutTheGrantTheLaunchFails(t *testing.T) {
	e := newExample2(t, p3, p4)
	e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	why := e.launchFail(t, dataDevice(e.key))
	why.denied(t, seed.Session(e.user.account), "kms:GenerateDataKeyWithoutPlaintext", e.key, "aws kms create-grant")
}

func TestS30_AGrantThatLacksAnOperationOrFitsNoVolumeFailsTheLaunch(t *testing.T) {
	t.Parallel()
	without := func(op string) func(*kms.CreateGrantInput) {
		return func(in *kms.CreateGrantInput) {
			in.Operations = slices.DeleteFunc(in.Operations, func(o kmstypes.GrantOperation) bool { return string(o) == op })
		}
	}
	constrained := func(c kmstypes.GrantConstraints) func(*kms.CreateGrantInput) {
		return func(in *kms.CreateGrantInput) { in.Constraints = &c }
	}
	for name, c := range map[string]struct {
		change func(*kms.CreateGrantInput)
		action string
	}{
		"without CreateGrant":   {without("CreateGrant"), "kms:CreateGrant"},
		"without Decrypt":       {without("Decrypt"), "kms:CreateGrant"}, // the child would not be a subset
		"without GenerateData":  {without("GenerateDataKeyWithoutPlaintext"), "kms:GenerateDataKeyWithoutPlaintext"},
		"for another context":   {constrained(kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"aws:ebs:id": "vol-0123456789abcdef0"}}), "kms:GenerateDataKeyWithoutPlaintext"},
		"for another subset":    {constrained(kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"app": "x"}}), "kms:GenerateDataKeyWithoutPlaintext"},
		"for the wrong account": {func(in *kms.CreateGrantInput) { in.GranteePrincipal = new(seed.Root(seed.NewAccount())) }, "kms:GenerateDataKeyWithoutPlaintext"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExample2(t, p3, p4)
			u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
			in := e.grantInput()
			c.change(in)
			must(u.kms.CreateGrant(t.Context(), in))(t)
			e.launchFail(t, dataDevice(e.key)).denied(t, seed.Session(e.user.account), c.action, e.key)
		})
	}
}

func TestS30_TheGrantIsOfUseWithTheRestOfTheOperationsToo(t *testing.T) {
	e := newExample2(t, p3, p4)
	u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
	in := e.grantInput()
	in.Operations = []kmstypes.GrantOperation{"CreateGrant", "Decrypt", "GenerateDataKeyWithoutPlaintext"}
	must(u.kms.CreateGrant(t.Context(), in))(t)
	e.launchOK(t)
}

func TestS30_ARevokedGrantStopsTheNextLaunch(t *testing.T) {
	e := newExample2(t, p3, p4)
	made := e.delegate(t)
	g := e.user.group(t, 1, dataDevice(e.key))
	ids := g.launchOK(t, 1, e.owner, map[string]string{"/dev/sdf": e.key})
	must(e.owner.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &e.key, GrantId: made.GrantId}))(t)
	g.scale(t, 2)
	eventually(t, "failed launch", func() (bool, string) {
		return slices.ContainsFunc(g.activities(t), func(a activity) bool { return str(a.StatusMessage) == diedText }), g.state(t)
	})
	if i := e.user.instance(t, ids[0]); i.State.Name != "running" {
		t.Errorf("the running instance is %s", i.State.Name)
	}
	must(e.user.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	g.launchOK(t, 2, e.owner, map[string]string{"/dev/sdf": e.key})
}

// The page's own accounts and key, on a server of their own.
func TestExample2_Verbatim(t *testing.T) {
	t.Parallel()
	url := server.Start(t, t.TempDir()+"/data").URL
	owner, a := adminOf(url, seed.KeyAccount), adminOf(url, seed.UserAccount)
	key := seed.Key(seed.KeyAccount, seed.KeyID)
	a.serviceRole(t)
	policy := seed.Policy(seed.Full(seed.Root(seed.KeyAccount)), p3(seed.UserAccount), p4(seed.UserAccount))
	m := must(owner.kms.CreateKey(t.Context(), &kms.CreateKeyInput{
		Policy: &policy, Tags: []kmstypes.Tag{{TagKey: new("_custom_id_"), TagValue: new(seed.KeyID)}},
	}))(t).KeyMetadata
	if *m.Arn != key {
		t.Fatalf("the key is %s, want %s", *m.Arn, key)
	}
	e := example2{owner, a, key}
	u := a.user(t, "requester")
	out, err := u.kms.CreateGrant(t.Context(), e.grantInput())
	refused(out, err)(t, "AccessDeniedException", "arn:aws:iam::111122223333:user/requester", key)
	g := a.group(t, 1, rootDevice(key))
	g.launchFail(t, owner, key)

	a.allow(t, "requester", "AllowGrant", seed.Identity("kms:CreateGrant", key))
	must(u.kms.CreateGrant(t.Context(), e.grantInput()))(t)
	g.launchOK(t, 1, owner, map[string]string{"/dev/xvda": key})

	twice, err := owner.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Tags: []kmstypes.Tag{{TagKey: new("_custom_id_"), TagValue: new(seed.KeyID)}}})
	refused(twice, err)(t, "AlreadyExistsException")
	role := must(a.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: new(roleName)}))(t).Role
	if *role.Arn != seed.Role(seed.UserAccount) {
		t.Errorf("the role is %s", *role.Arn)
	}
}

// The page's account of example 1, on a server of its own.
func TestExample1_Verbatim(t *testing.T) {
	t.Parallel()
	c := adminOf(server.Start(t, t.TempDir()+"/data").URL, seed.GroupAccount)
	c.serviceRole(t)
	key := c.key(t, "")
	g := c.group(t, 1, rootDevice(key))
	g.launchFail(t, c, key)
	// The page prints the condition's value as a JSON boolean.
	role := seed.Role(seed.GroupAccount)
	c.setPolicy(t, key, seed.Full(seed.Root(seed.GroupAccount)), seed.Use(role), seed.Attach(role))
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})
}
