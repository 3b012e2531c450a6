package cfn

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// noAccount stands for the account of a template that is not known. No account has it.
const noAccount = "000000000001"

var (
	arnText    = regexp.MustCompile(`arn:aws[\w-]*:[\w-]+:([\w-]*):([0-9]{12}):`)
	regionText = regexp.MustCompile(`\b([a-z]{2}(?:-gov|-iso[a-z]?)?-(?:central|(?:north|south)?(?:east|west)|north|south)-[0-9])[a-f]?\b`)
	rootText   = regexp.MustCompile(`^(?:arn:aws:iam::)?([0-9]{12})(?::root)?$`)
)

// hints are what stacks tell of the account and region that they are in.
type hints struct {
	account, region string // as they are said
	administrators  []string
	accounts        []string
	regions         []string
	pseudo          bool // the account is also called AWS::AccountId
}

// settleHomes finds out account and region of each stack. Stacks that import from one another are in one
// account and region, so that what one of them tells holds for all. Source: CloudFormation User Guide,
// "Get exported outputs from a deployed CloudFormation stack".
func (w *set) settleHomes() {
	heard := map[*stack]*hints{}
	for _, s := range w.stacks {
		if s.parent == nil {
			heard[s] = s.hints()
		}
	}
	exporters := map[string][]*stack{}
	for _, s := range w.stacks {
		for _, name := range s.exports() {
			exporters[name] = append(exporters[name], s)
		}
	}
	for _, s := range w.stacks {
		for _, name := range s.imports() {
			if from := exporters[name]; len(from) == 1 {
				w.join(heard, s.outermost(), from[0].outermost())
			}
		}
	}
	for _, s := range w.stacks {
		clear(s.tested) // the names of exports are read before it is known where the stacks are
	}
	for _, s := range w.stacks {
		if p := s.parent; p != nil { // parents are settled before
			s.account, s.region, s.accountName, s.regionName = p.account, p.region, p.accountName, p.regionName
			continue
		}
		s.settleHome(heard[s])
	}
}

// join has two stacks share their hints, unless it is said that they are in different places.
func (w *set) join(heard map[*stack]*hints, a, b *stack) {
	x, y := heard[a], heard[b]
	if x == y || x.account != "" && y.account != "" && x.account != y.account || x.region != "" && y.region != "" && x.region != y.region {
		return
	}
	x.account, x.region, x.pseudo = cmp.Or(x.account, y.account), cmp.Or(x.region, y.region), x.pseudo || y.pseudo
	for _, v := range y.administrators {
		x.administrators = appendNew(x.administrators, v)
	}
	for _, v := range y.accounts {
		x.accounts = appendNew(x.accounts, v)
	}
	for _, v := range y.regions {
		x.regions = appendNew(x.regions, v)
	}
	for s, h := range heard {
		if h == y {
			heard[s] = x
		}
	}
}

func appendNew(to []string, v string) []string {
	if v == "" || slices.Contains(to, v) {
		return to
	}
	return append(to, v)
}

// outermost is the stack that a nested one is below.
func (s *stack) outermost() *stack {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// exports are the names of what s exports.
func (s *stack) exports() (names []string) {
	if !s.outputs.is(object) {
		return nil
	}
	for _, m := range s.outputs.members {
		if name, ok := s.eval(m.value.get("Export", "Name")).scalar(); ok {
			names = append(names, name)
		}
	}
	return names
}

// imports are the names of what the resources of s import.
func (s *stack) imports() (names []string) {
	for _, r := range s.order {
		r.props.imports(func(arg *node) {
			if name, ok := s.eval(arg).scalar(); ok {
				names = appendNew(names, name)
			}
		})
	}
	return names
}

// imports calls see with the argument of each Fn::ImportValue below n.
func (n *node) imports(see func(arg *node)) {
	if n == nil {
		return
	}
	if name, arg, ok := call(n); ok && name == "Fn::ImportValue" {
		see(arg)
	}
	for _, item := range n.items {
		item.imports(see)
	}
	for _, m := range n.members {
		m.value.imports(see)
	}
}

// hints are those of a stack that is not nested.
func (s *stack) hints() *hints {
	h := &hints{account: cmp.Or(s.account, s.set.opt.Account), region: cmp.Or(s.region, s.set.opt.Region)}
	see := func(t string) {
		h.pseudo = h.pseudo || strings.Contains(t, "AWS::AccountId")
		for _, m := range arnText.FindAllStringSubmatch(t, -1) {
			h.accounts = appendNew(h.accounts, m[2])
		}
		for _, m := range regionText.FindAllStringSubmatch(t, -1) {
			h.regions = appendNew(h.regions, m[1])
		}
	}
	for _, r := range s.order {
		r.props.texts(see)
	}
	for _, v := range s.parameters {
		v.texts(see)
	}
	h.administrators = appendNew(nil, s.administrator())
	return h
}

// settleHome says by its hints where a stack is.
func (s *stack) settleHome(h *hints) {
	s.account, s.region = h.account, h.region
	if s.account == "" && len(h.administrators) == 1 {
		s.account = h.administrators[0]
	}
	if s.account == "" && len(h.accounts) == 1 && !h.pseudo {
		s.account = h.accounts[0]
	}
	if s.account == "" {
		s.account, s.accountName = noAccount, "AWS::AccountId"
	}
	if s.region == "" && len(h.regions) == 1 {
		s.region = h.regions[0]
	}
	if s.region == "" {
		s.region = "us-east-1"
		if !slices.Contains(h.regions, s.region) {
			s.regionName = "AWS::Region"
		}
	}
}

// administrator is the account whose root the policies of the keys leave the administration to, as it
// is written; "" if they leave it to none or to several.
func (s *stack) administrator() string {
	found := ""
	for _, r := range s.order {
		if r.typ != "AWS::KMS::Key" {
			continue
		}
		for _, st := range r.props.get("KeyPolicy", "Statement").list() {
			all := slices.ContainsFunc(st.get("Action").list(), func(n *node) bool { return n.kind == text && n.s == "kms:*" })
			for _, p := range st.get("Principal", "AWS").list() {
				m := rootText.FindStringSubmatch(p.s)
				if !all || m == nil || !arn.IsAccount(m[1]) {
					continue
				}
				if found != "" && found != m[1] {
					return ""
				}
				found = m[1]
			}
		}
	}
	return found
}

// texts calls see with each text below n.
func (n *node) texts(see func(string)) {
	if n == nil {
		return
	}
	if n.kind == text {
		see(n.s)
	}
	for _, item := range n.items {
		item.texts(see)
	}
	for _, m := range n.members {
		m.value.texts(see)
	}
}
