package cfn

import (
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

// settleHome finds out account and region of a stack.
func (s *stack) settleHome() {
	if p := s.parent; p != nil { // parents are settled before
		s.account, s.region, s.accountName, s.regionName = p.account, p.region, p.accountName, p.regionName
		return
	}
	var accounts, regions []string
	pseudo := false
	add := func(to *[]string, v string) {
		if v != "" && !slices.Contains(*to, v) {
			*to = append(*to, v)
		}
	}
	see := func(t string) {
		pseudo = pseudo || strings.Contains(t, "AWS::AccountId")
		for _, m := range arnText.FindAllStringSubmatch(t, -1) {
			add(&accounts, m[2])
		}
		for _, m := range regionText.FindAllStringSubmatch(t, -1) {
			add(&regions, m[1])
		}
	}
	for _, r := range s.order {
		r.props.texts(see)
	}
	for _, v := range s.parameters {
		v.texts(see)
	}
	if s.account == "" {
		s.account = s.set.opt.Account
	}
	if s.account == "" {
		s.account = s.administrator()
	}
	if s.account == "" && len(accounts) == 1 && !pseudo {
		s.account = accounts[0]
	}
	if s.account == "" {
		s.account, s.accountName = noAccount, "AWS::AccountId"
	}
	if s.region == "" {
		s.region = s.set.opt.Region
	}
	if s.region == "" && len(regions) == 1 {
		s.region = regions[0]
	}
	if s.region == "" {
		s.region = "us-east-1"
		if !slices.Contains(regions, s.region) {
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
