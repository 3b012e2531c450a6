package tfplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory/managed"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

// A person is a role or user.
type person struct {
	format.Principal
	unknown map[string]string // by pointer below the principal
	at      string
	written []string // addresses of the resources that have its policies, where they are told
}

// people are the roles and users of the plan.
type people struct {
	byARN    map[string]*person
	byName   map[string]*person // account, kind and name
	policies map[string]document
	groups   map[string][]attached // by account and name
	file     string                // what the file is called
}

// attached is a policy that hangs on something.
type attached struct {
	name string
	document
}

func personName(account, kind, name string) string { return account + " " + kind + " " + name }

// bare is the name at the end of an ARN or path.
func bare(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (m *model) readPeople() {
	p := &people{byARN: map[string]*person{}, byName: map[string]*person{}, policies: map[string]document{}, groups: map[string][]attached{}, file: m.words.File}
	m.people = p
	for _, r := range m.of("aws_iam_policy", "data.aws_iam_policy") {
		name := r.known("arn")
		if name == "" && r.mode != "data" {
			name = m.iamARN(r)
		}
		if name != "" {
			p.policies[name] = m.document(r, "policy")
		}
	}
	for _, r := range m.of("aws_iam_role", "aws_iam_user", "aws_iam_service_linked_role") {
		m.addPerson(r)
	}
	m.readGroups()
	m.readPersonPolicies()
}

func (m *model) addPerson(r *resource) {
	q := &person{at: r.addr, unknown: map[string]string{}}
	q.Principal = format.Principal{ARN: m.iamARN(r), Kind: format.KindRole, ID: r.known("unique_id"), Policies: []format.InlinePolicy{}}
	switch r.typ {
	case "aws_iam_user":
		q.Kind = format.KindUser
	case "aws_iam_service_linked_role":
		q.Kind = format.KindLinked
	}
	m.people.put(q)
	if q.Kind == format.KindLinked {
		return
	}
	if boundary := m.text(r, wantPolicy, "permissions_boundary"); boundary.why != "" {
		q.Boundary, q.unknown["/boundary"] = empty, boundary.why
	} else if boundary.s != "" {
		d := m.people.policy(boundary.s)
		if q.Boundary = format.Document(d.raw); d.raw == nil {
			q.Boundary, q.unknown["/boundary"] = empty, d.why
		}
	}
	n, ok := r.attr("inline_policy").length()
	for i := range n {
		q.attach(r.known("inline_policy", i, "name"), m.document(r, "inline_policy", i, "policy"))
	}
	arns, why := m.list(r, "managed_policy_arns")
	for _, a := range arns {
		q.attach(bare(a), m.people.policy(a))
	}
	if e, told := m.expr(r, "inline_policy"); !ok && !(told && e == nil) {
		why = r.addr + ".inline_policy" + r.attr("inline_policy").why()
	}
	if why != "" {
		q.unknown["/policies"] = why
	}
}

func (p *people) put(q *person) {
	p.byARN[q.ARN] = q
	a, err := arn.Parse(q.ARN)
	if err == nil {
		p.byName[personName(a.Account, a.Type(), bare(a.ID()))] = q
	}
}

// policy is a managed policy.
func (p *people) policy(name string) document {
	if d, ok := p.policies[name]; ok {
		return d
	}
	if x := managed.Find(name); x != nil {
		return document{raw: []byte(x.Document())}
	}
	return document{why: "policy " + name + " is not in " + p.file}
}

func (q *person) attach(name string, d document) {
	i := len(q.Policies)
	if q.Kind == format.KindLinked {
		return
	}
	if name == "" {
		name = fmt.Sprintf("policy-%d", i)
	}
	doc := format.Document(d.raw)
	if d.raw == nil {
		if doc = empty; d.why == "" {
			d.why = "the policy " + name + " has no document"
		}
		q.unknown[fmt.Sprintf("/policies/%d/policy", i)] = d.why
	}
	q.Policies = append(q.Policies, format.InlinePolicy{Name: name, Policy: doc})
	q.written = append(q.written, d.at)
}

// hang puts policies on whom a resource names.
func (m *model) hang(r *resource, kind string, names []string, on attached) {
	account := m.homeOf(r).account
	for _, name := range names {
		if q := m.people.byName[personName(account, kind, bare(name))]; q != nil {
			q.attach(on.name, on.document)
		}
	}
}

func (m *model) readGroups() {
	put := func(r *resource, group string, a attached) {
		id := personName(m.homeOf(r).account, "group", bare(group))
		m.people.groups[id] = append(m.people.groups[id], a)
	}
	for _, r := range m.of("aws_iam_group_policy") {
		if group := m.text(r, wantGroup, "group"); group.s != "" {
			put(r, group.s, attached{r.known("name"), m.document(r, "policy")})
		}
	}
	for _, r := range m.of("aws_iam_group_policy_attachment") {
		group, p := m.text(r, wantGroup, "group"), m.text(r, wantPolicy, "policy_arn")
		if group.s != "" {
			put(r, group.s, m.managedPolicy(p))
		}
	}
	for _, r := range m.of("aws_iam_policy_attachment") {
		groups, _ := m.list(r, "groups")
		for _, g := range groups {
			put(r, g, m.managedPolicy(m.text(r, wantPolicy, "policy_arn")))
		}
	}
	join := func(r *resource, user, group string) {
		for _, a := range m.people.groups[personName(m.homeOf(r).account, "group", bare(group))] {
			m.hang(r, "user", []string{user}, a)
		}
	}
	for _, r := range m.of("aws_iam_group_membership") {
		users, _ := m.list(r, "users")
		for _, u := range users {
			join(r, u, m.text(r, wantGroup, "group").s)
		}
	}
	for _, r := range m.of("aws_iam_user_group_membership") {
		groups, _ := m.list(r, "groups")
		for _, g := range groups {
			join(r, m.text(r, wantPerson, "user").s, g)
		}
	}
}

func (m *model) managedPolicy(name text) attached {
	if name.why != "" {
		return attached{"unknown", document{why: name.why}}
	}
	return attached{bare(name.s), m.people.policy(name.s)}
}

func (m *model) readPersonPolicies() {
	for _, r := range m.of("aws_iam_role_policy") {
		m.hang(r, "role", []string{m.text(r, wantPerson, "role").s}, attached{r.known("name"), m.document(r, "policy")})
	}
	for _, r := range m.of("aws_iam_user_policy") {
		m.hang(r, "user", []string{m.text(r, wantPerson, "user").s}, attached{r.known("name"), m.document(r, "policy")})
	}
	for _, r := range m.of("aws_iam_role_policy_attachment") {
		m.hang(r, "role", []string{m.text(r, wantPerson, "role").s}, m.managedPolicy(m.text(r, wantPolicy, "policy_arn")))
	}
	for _, r := range m.of("aws_iam_user_policy_attachment") {
		m.hang(r, "user", []string{m.text(r, wantPerson, "user").s}, m.managedPolicy(m.text(r, wantPolicy, "policy_arn")))
	}
	for _, r := range m.of("aws_iam_policy_attachment") {
		p := m.managedPolicy(m.text(r, wantPolicy, "policy_arn"))
		roles, _ := m.list(r, "roles")
		users, _ := m.list(r, "users")
		m.hang(r, "role", roles, p)
		m.hang(r, "user", users, p)
	}
}

// allowAll is what whoever applies a plan is taken to have.
var allowAll = format.Document(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)

// applier is who applies the resources of a home, and what was assumed of it.
func (m *model) applier(h *home) (_ *person, assumed string) {
	name := h.caller
	if name == "" {
		name = arn.Role(h.account, "/", m.words.Applier)
	}
	if q := m.people.byARN[name]; q != nil {
		return q, ""
	}
	a, err := arn.Parse(name)
	if err != nil {
		return nil, ""
	}
	if q := m.people.byName[personName(a.Account, a.Type(), bare(a.ID()))]; q != nil && a.ID() != "" {
		return q, ""
	}
	q := &person{unknown: map[string]string{}}
	q.Principal = format.Principal{ARN: name, Kind: format.KindRole, Policies: []format.InlinePolicy{}}
	if a.Type() == "user" {
		q.Kind = format.KindUser
	}
	if name == arn.Root(a.Account) {
		return q, ""
	}
	if m.opt.Strict {
		q.unknown["/policies"] = m.words.File + " does not say what policies they are"
		return q, ""
	}
	q.Policies = append(q.Policies, format.InlinePolicy{Name: "assumed", Policy: allowAll})
	who := name
	if h.caller == "" {
		who = "whoever " + m.words.Applies + " in account " + h.account
	}
	return q, who + " may do what identity policies can allow: " + m.words.File + " does not say"
}

// pointers are the unknown parts of a person, in order.
func (q *person) pointers() []string { return slices.Sorted(maps.Keys(q.unknown)) }
