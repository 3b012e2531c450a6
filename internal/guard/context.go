package guard

import (
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
)

// A second is a time as condition keys have it.
type second struct {
	unix       int64
	iso, epoch string
}

// secondOf is that of a request: when it came, or now if it does not say.
func (g *Guard) secondOf(c *Call) *second {
	now := c.Time
	if now.IsZero() {
		now = g.cfg.Now()
	}
	unix := now.Unix()
	if s := g.second.Load(); s != nil && s.unix == unix {
		return s
	}
	s := &second{unix, now.UTC().Format(time.RFC3339), strconv.FormatInt(unix, 10)}
	g.second.Store(s)
	return s
}

// context supplies the condition keys that every request has, on top of those that authz derives
// from the principal and the resource. Source: IAM User Guide, "AWS global condition context
// keys"; KMS Developer Guide, "Condition keys for AWS KMS".
func (g *Guard) context(c *Call, ctx authz.Context) authz.Context {
	if ctx == nil {
		ctx = make(authz.Context, 0, usualContext)
	}
	now := g.secondOf(c)
	ctx.Set("aws:currenttime", now.iso)
	ctx.Set("aws:epochtime", now.epoch)
	ctx.Set("aws:requestedregion", c.Region)
	ctx.SetBool("aws:securetransport", c.Caller.Secure)
	if c.Caller.UserAgent != "" {
		ctx.Set("aws:useragent", c.Caller.UserAgent)
	}
	ctx.SetBool("aws:viaawsservice", c.Caller.Forwarded())
	if c.Caller.Forwarded() {
		ctx.SetList("aws:calledvia", c.Caller.Chain)
		ctx.Set("aws:calledviafirst", c.Caller.Chain[0])
		ctx.Set("aws:calledvialast", c.Caller.Chain[len(c.Caller.Chain)-1])
	} else if e := c.Caller.Endpoint; e != nil { // then there is no aws:SourceIp
		ctx.Set("aws:sourcevpce", e.ID)
		ctx.Set("aws:sourcevpc", e.VPC)
		ctx.Set("aws:vpcsourceip", e.IP)
	} else if c.Caller.SourceIP != "" {
		ctx.Set("aws:sourceip", c.Caller.SourceIP)
	}
	if c.Caller.SourceARN != "" {
		ctx.Set("aws:sourcearn", c.Caller.SourceARN)
	}
	if c.Caller.SourceAccount != "" {
		ctx.Set("aws:sourceaccount", c.Caller.SourceAccount)
	}
	if s := c.Caller.Session; s != nil {
		if !s.IssuedAt.IsZero() {
			ctx.Set("aws:tokenissuetime", s.IssuedAt.UTC().Format(time.RFC3339))
			ctx.SetBool("aws:multifactorauthpresent", s.MFA)
			if s.MFA {
				ctx.Set("aws:multifactorauthage", strconv.FormatInt(int64(max(0, c.Time.Sub(s.IssuedAt))/time.Second), 10))
			}
		}
		if s.SourceIdentity != "" {
			ctx.Set("aws:sourceidentity", s.SourceIdentity)
		}
		if s.Kind == directory.OfRoot {
			ctx.SetBool("aws:assumedroot", true)
		}
		if s.Provider != "" {
			ctx.Set("aws:federatedprovider", s.Provider)
			ctx = append(ctx, s.Claims...)
		}
		if s.Instance != "" {
			ctx.Set("ec2:sourceinstancearn", s.Instance)
		}
	}
	if c.Service == "kms" {
		if c.Caller.Principal.Account != "" {
			ctx.Set("kms:calleraccount", c.Caller.Principal.Account)
		}
		if via := c.ViaService(); via != "" {
			ctx.Set("kms:viaservice", via)
		}
	}
	return ctx
}

// ViaService is kms:ViaService. The infrastructure role's own calls carry EC2's value too: they
// are made by EC2 for the instance (encrypted volumes, choice 4 of docs/divergences.md).
func (c *Call) ViaService() string {
	if s := c.Caller.Session; s != nil && s.Instance != "" {
		return "ec2." + c.Region + ".amazonaws.com"
	}
	return c.Caller.viaService(c.Region)
}
