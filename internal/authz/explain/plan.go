package explain

import (
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/speech"
)

// launches reports whether EC2 asks for a service-linked role: to launch an instance.
func (s *search) launches() bool {
	via, _ := lookup(s.req.Context, "kms:viaservice")
	return s.isKMS() && s.p.IsServiceLinked() && strings.HasPrefix(via, "ec2.")
}

// rewraps reports whether a request is to re-encrypt from a key to the same key.
func rewraps(req *authz.Request) bool {
	from := func(action string) string {
		i := slices.IndexFunc(req.Parts, func(p authz.Part) bool { return p.Action == action })
		if i < 0 || req.Parts[i].Resource.Unknown {
			return ""
		}
		return req.Parts[i].Resource.ARN
	}
	key := from("kms:ReEncryptFrom")
	return key != "" && key == from("kms:ReEncryptTo")
}

// plan are the actions on the key of the launch that a request is part of, as package launch has
// them: the one that is denied says what the source of the volume is. Without a launch it is the
// request alone.
func (s *search) plan() []string {
	const generate, create = "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"
	switch op := s.operation(); {
	case !s.launches():
		return []string{s.part.Action}
	case s.rewraps: // the volume keeps the data key of its source
		return []string{"kms:ReEncryptFrom", "kms:ReEncryptTo", create}
	case op == "ReEncryptTo": // the source is under another key
		return []string{s.part.Action, generate, create}
	case op == "CreateGrant":
		return []string{generate, create}
	}
	return []string{s.part.Action, create}
}

// asking is a request for another action of the plan.
func (s *search) asking(r *authz.Request, action string) authz.Request {
	p := r.Parts[0]
	if p.Action != action {
		p.Action, p.NewGrant = action, nil
		if action == "kms:CreateGrant" { // for the instance, to decrypt
			p.NewGrant = &authz.Grant{Operations: []string{"Decrypt"}, ContextSubset: p.EncryptionContext}
		}
		p.Context = slices.Clone(p.Context)
		p.Context.SetBool("kms:grantisforawsresource", true)
	}
	other := *r
	other.Parts = []authz.Part{p}
	return other
}

// together are the actions that one least statement for the request allows: of the plan those that
// nothing allows yet, but for grants, which have a condition of their own.
func (s *search) together() []string {
	if s.operation() == "CreateGrant" {
		return []string{s.part.Action}
	}
	return slices.DeleteFunc(s.plan(), func(action string) bool {
		if action == s.part.Action {
			return false
		}
		other := s.asking(&s.base, action)
		return action == "kms:CreateGrant" || allowed(&other)
	})
}

// next is what the launch of an encrypted instance needs beside a statement for the action that
// was denied: a denial names one action. Each is decided with all before it in force.
func (s *search) next(r *authz.Request, alt []change) []change {
	if len(alt) != 1 || alt[0].fix.Kind != KeyPolicy && alt[0].fix.Kind != Correction || alt[0].fix.Target != s.part.Resource.ARN || !s.launches() {
		return nil
	}
	var more []change
	applied := *r
	for _, action := range s.plan() {
		other := s.asking(&applied, action)
		if allowed(&other) {
			continue
		}
		search := newSearch(&other)
		search.page = s.page
		add := search.resource()
		if after, ok := applyAll(other, add); !ok || !allowed(&after) {
			return nil
		}
		for i := range add {
			add[i].fix.Summary = speech.Say("The launch asks for %s too: %s", action, uncapital(add[i].fix.Summary))
			add[i].fix.Digest = alt[0].fix.Digest // of the text before all
		}
		more = append(more, add...)
		applied, _ = applyAll(applied, add)
	}
	return more
}
