package ec2

import (
	"cmp"

	"github.com/kagimori/kagimori/internal/authz"
)

// owned says in a part whose image or snapshot it is about. EC2 has no resource policies: sharing
// is an attribute, which the caller of owned has checked, so the decision stays one inside the
// caller's account and only the condition keys tell the owner. alias is "amazon" or "".
func owned(p *authz.Part, owner, alias string) {
	p.Context.Set("ec2:owner", cmp.Or(alias, owner))
	if owner != p.Resource.Account {
		p.Context.Set("aws:resourceaccount", owner)
	}
}
