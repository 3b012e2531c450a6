package guard

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/trail"
)

func (g *Guard) denied(c *Call, v *version) error {
	req, d := v.req, *v.d
	text := v.rename(explain.Message(d, &req.Principal))
	if part := d.Part; req.Principal.Type == authz.Anonymous && c.Service == "sts" && part >= 0 && part < len(d.Parts) {
		text = "Not authorized to perform " + d.Parts[part].Action
	}
	e := &DeniedError{Decision: d, Principal: req.Principal, Message: text}
	switch c.Service {
	case "ec2":
		msg := "You are not authorized to perform this operation. " + text
		if g.cfg.Encode != nil && !c.ReadOnly { // Describe calls come without
			msg += ". Encoded authorization failure message: " + g.cfg.Encode([]byte(v.rename(string(encodedMessage(req, d)))))
		}
		e.api = apierr.New("UnauthorizedOperation", msg).WithStatus(403)
	case "kms", "organizations", "cloudtrail", "kagimori", "access-analyzer", "ebs":
		e.api = apierr.New("AccessDeniedException", text)
	default:
		e.api = apierr.New("AccessDenied", text).WithStatus(403)
	}
	return e
}

// AuthorizationID is the id by which the decisions of a request can be asked for: the request's, in the
// form that AWS gives such ids, "[0-9a-z]+".
//
// Source: IAM Toolbox API Reference, GetRequestAuthorizationDetails.
func AuthorizationID(request string) string { return strings.ReplaceAll(request, "-", "") }

// RequestOf is the request of an authorization id. Any other text comes back as it is.
func RequestOf(authorizationID string) string {
	id := authorizationID
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return id
	}
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// eventDomain follows the name of a service in its records.
const eventDomain = ".amazonaws.com"

// record makes the trail's record of a call.
func (g *Guard) record(c *Call, err error) *trail.Record {
	r := new(trail.Record)
	g.fill(r, c, err)
	return r
}

// fill is record, into one that is there. Of the room of a call it takes the memory for its own record.
func (g *Guard) fill(r *trail.Record, c *Call, err error) {
	now := g.cfg.Now()
	if c.evidence.eventID == "" {
		if c.evidence.eventID = c.evidence.reserved; c.evidence.eventID == "" {
			c.evidence.eventID = newEventID(now)
		}
		c.evidence.reserved = ""
	}
	*r = trail.Record{
		EventVersion: "1.11", UserIdentity: identity(&c.Caller), EventTime: now.UTC(),
		EventSource: c.Service + eventDomain, EventName: c.Operation, AWSRegion: c.Region,
		SourceIPAddress: c.Caller.SourceIP, UserAgent: c.Caller.UserAgent,
		ResponseElements: c.evidence.response,
		RequestID:        c.ID, EventID: c.evidence.eventID, ReadOnly: c.ReadOnly, Resources: c.evidence.resources,
		EventType: "AwsApiCall", ManagementEvent: true, RecipientAccountID: cmp.Or(c.Caller.Principal.Account, c.Caller.SourceAccount),
		EventCategory: "Management", AdditionalEventData: c.evidence.extra, Encoded: true,
	}
	if s := c.evidence.scratch; s != nil && r == &s.record {
		s.parameters = g.shapes.AppendParameters(s.parameters[:0], c.Input)
		if r.RequestParameters = s.parameters; len(s.parameters) == 0 {
			r.RequestParameters = nil
		}
	} else {
		r.RequestParameters = g.shapes.Parameters(c.Input)
	}
	if by := r.UserIdentity.InvokedBy; by != "" {
		r.SourceIPAddress, r.UserAgent = by, by
	}
	for _, x := range r.Resources { // of a service in its own name: it is the customer's event
		r.RecipientAccountID = cmp.Or(r.RecipientAccountID, x.AccountID)
	}
	r.Kagimori.Decisions = c.evidence.decisions
	if shown := c.evidence.renamed; err != nil && len(shown) > 0 {
		r.Resources = slices.Clone(r.Resources)
		for i := range r.Resources {
			r.Resources[i].ARN = cmp.Or(shown[r.Resources[i].ARN], r.Resources[i].ARN)
		}
	}
	if err != nil {
		r.ResponseElements = nil
		r.ErrorCode, r.ErrorMessage = "InternalFailure", "An internal error occurred."
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			r.ErrorCode, r.ErrorMessage = e.Code, e.Message
		}
	}
	if shared(r, err) {
		r.SharedEventID = NewRequestID()
	}
}

// shared reports whether an event is of other accounts too, those of its resources: then it has a
// shared id. What was refused is the caller's alone, or anybody could write into everybody's trail.
// Sources: CloudTrail User Guide, "CloudTrail record contents"; KMS Developer Guide, "Logging AWS
// KMS API calls with AWS CloudTrail".
func shared(r *trail.Record, err error) bool {
	if _, denied := Denied(err); denied || r.ErrorCode == "AccessDenied" || r.ErrorCode == "AccessDeniedException" {
		return false
	}
	return slices.ContainsFunc(r.Resources, func(x trail.Resource) bool {
		return x.AccountID != "" && x.AccountID != r.RecipientAccountID
	})
}

func identity(c *Caller) trail.UserIdentity {
	p := &c.Principal
	id := trail.UserIdentity{PrincipalID: p.UserID, ARN: p.ARN, AccountID: p.Account, AccessKeyID: c.AccessKeyID, InvokedBy: c.InvokedBy}
	switch p.Type {
	case authz.Anonymous:
		if f := c.Federated; f != nil {
			return trail.UserIdentity{Type: f.Type, PrincipalID: f.PrincipalID, UserName: f.UserName, IdentityProvider: f.Provider}
		}
		return trail.UserIdentity{Type: "Unknown"}
	case authz.Root:
		id.Type = "Root"
	case authz.User:
		id.Type, id.UserName = "IAMUser", p.Username
	case authz.FederatedUser:
		id.Type = "FederatedUser"
		if s := c.Session; s != nil {
			issuer := trail.SessionIssuer{Type: "IAMUser", PrincipalID: p.UniqueID, ARN: p.ParentARN, AccountID: p.Account, UserName: s.User}
			if s.User == "" {
				issuer.Type, issuer.PrincipalID = "Root", p.Account
			}
			id.SessionContext = &trail.SessionContext{SessionIssuer: issuer, Attributes: attributes(s)}
		}
	case authz.Service:
		return trail.UserIdentity{Type: "AWSService", InvokedBy: cmp.Or(c.InvokedBy, p.ARN)}
	case authz.RoleSession:
		id.Type = "AssumedRole"
		if s := c.Session; s != nil {
			id.SessionContext = &trail.SessionContext{SessionIssuer: trail.SessionIssuer{
				Type: "Role", PrincipalID: s.RoleID, ARN: p.RoleARN, AccountID: p.Account, UserName: s.RoleName,
			}}
			id.SessionContext.Attributes = attributes(s)
			if s.Instance != "" {
				id.InScopeOf = &trail.InScopeOf{IssuerType: "AWS::EC2::Instance", CredentialsIssuedTo: s.Instance}
			}
		}
		if p.RoleARN == arn.InfrastructureRole(p.Account) {
			id.InvokedBy = "AWS Internal"
		}
	}
	return id
}

// attributes are those of temporary credentials; nil for a session that a service holds itself.
func attributes(s *directory.Session) *trail.SessionAttributes {
	if s.IssuedAt.IsZero() {
		return nil
	}
	return &trail.SessionAttributes{CreationDate: s.IssuedAt.UTC().Truncate(time.Second), MFAAuthenticated: s.MFA}
}
