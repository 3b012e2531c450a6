package iam

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// maxPrincipals is the most principals of one trust policy: each is looked up in the transaction
// that saves it. AWS bounds the document's size only.
const maxPrincipals = 40

// servicePrincipal is the form of a service principal's name. Which services exist is not
// checked.
var servicePrincipal = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)$`)

// encode is a document as IAM answers show it: URL encoded as in RFC 3986.
// Source: IAM API Reference, GetPolicyVersion.
func encode(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

// setTrust gives a role a trust policy: checked, with principals that exist, remembered by their
// unique ids. Source: IAM User Guide, "AWS JSON policy elements: Principal".
func (s *Service) setTrust(tx store.Tx, r *directory.Role, src string) error {
	doc, err := policy.CheckTrust([]byte(src))
	if err != nil {
		return err
	}
	if policy.SizeWithoutSpace([]byte(src)) > maxTrustSize {
		return exceeded("Cannot exceed quota for ACLSizePerRole: %d", maxTrustSize)
	}
	ids := map[string]string{}
	alive := map[string]string{} // unique ids in the text to the ARNs they stand for
	seen := map[string]bool{}
	for _, st := range doc.Statements {
		for kind, t := range st.Principal.All() {
			if seen[t.Value] {
				continue
			}
			seen[t.Value] = true
			if len(seen) > maxPrincipals {
				return exceeded("Cannot exceed quota for PrincipalsPerTrustPolicy: %d", maxPrincipals)
			}
			ok, err := s.resolve(tx, r, kind, t.Value, ids, alive)
			if err != nil {
				return err
			}
			if !ok {
				return policy.InvalidPrincipal(kind, t.Value)
			}
		}
	}
	r.Trust = src
	if len(alive) > 0 {
		r.Trust = string(policy.ReplacePrincipals([]byte(src), alive))
	}
	r.TrustIDs = nil
	if len(ids) > 0 {
		r.TrustIDs = ids
	}
	return nil
}

// resolve finds one principal. The role itself may be named by UpdateAssumeRolePolicy, not by
// CreateRole, when it does not exist yet.
func (s *Service) resolve(tx store.Tx, r *directory.Role, kind policy.PrincipalKind, value string, ids, alive map[string]string) (bool, error) {
	switch {
	case kind == policy.PrincipalService:
		return servicePrincipal.MatchString(value), nil
	case kind != policy.PrincipalAWS:
		return true, nil // identity providers: any may be named, as at AWS
	case policy.IsUniqueID(value):
		ref, ok, err := s.dir.ByID(tx, value)
		if ok {
			ids[ref.ARN], alive[value] = value, ref.ARN
		}
		return ok, err
	}
	id, ok, err := s.dir.Resolve(tx, value)
	if ok && id != "" {
		ids[value] = id
	}
	return ok, err
}

// A trustee is a principal that a trust policy names by an ARN, which meant the unique id.
type trustee struct{ arn, id string }

// shownTrust is a role's trust policy as it is shown: a user that was renamed by its new ARN, a
// principal that is gone by its unique id.
func (s *Service) shownTrust(tx store.Tx, r *directory.Role) (string, error) {
	names := map[trustee]string{}
	for arn, id := range r.TrustIDs {
		name, err := s.dir.NameOf(tx, arn, id)
		if err != nil {
			return "", err
		}
		names[trustee{arn, id}] = name
	}
	return showTrust(r, names), nil
}

// showTrust is shownTrust with the names that the trustees have now.
func showTrust(r *directory.Role, names map[trustee]string) string {
	var replace map[string]string
	for arn, id := range r.TrustIDs {
		if name := names[trustee{arn, id}]; name != arn {
			if replace == nil {
				replace = map[string]string{}
			}
			replace[arn] = name
		}
	}
	if replace == nil {
		return r.Trust
	}
	return string(policy.ReplacePrincipals([]byte(r.Trust), replace))
}

// trusted names whom the roles trust. It reads in batches: a page of roles may name more
// principals than one transaction may read.
func (s *Service) trusted(ctx context.Context, roles []directory.Role) (map[trustee]string, error) {
	names := map[trustee]string{}
	var all []trustee
	for i := range roles {
		for arn, id := range roles[i].TrustIDs {
			who := trustee{arn, id}
			if _, seen := names[who]; !seen {
				names[who] = arn
				all = append(all, who)
			}
		}
	}
	for len(all) > 0 {
		batch := all[:min(len(all), store.MaxOps/2)]
		all = all[len(batch):]
		err := s.g.Read(ctx, func(tx store.Tx) error {
			for _, who := range batch {
				name, err := s.dir.NameOf(tx, who.arn, who.id)
				if err != nil {
					return err
				}
				names[who] = name
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
