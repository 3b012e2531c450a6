package authz

import (
	"maps"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/condition"
	"github.com/kagimori/kagimori/internal/policy"
)

// Outcome is the answer to a request. The zero value denies.
type Outcome uint8

// Outcomes.
const (
	ImplicitDeny Outcome = iota // no layer that can grant did, or a limiting layer is silent
	ExplicitDeny                // some statement denies
	Allowed
	Undetermined // it depends on something Unknown; see Decision.Depends
)

// Layer is a kind of document, or a grant.
type Layer uint8

// Layers.
const (
	LayerNone Layer = iota
	LayerIdentity
	LayerResource // key policy, other resource policy
	LayerTrust    // role trust policy: evaluated as LayerResource, reported as itself
	LayerBoundary
	LayerSession
	LayerSCP
	LayerRCP
	LayerEndpoint
	LayerGrant
	LayerRoot // the account root user's own standing
)

// PrincipalType is the kind of caller.
type PrincipalType uint8

// Principal types.
const (
	Anonymous PrincipalType = iota
	Root
	User
	RoleSession
	FederatedUser
	Service
	// UnknownPrincipal stands for a caller that is not known yet (a plan's computed ARN). It is
	// taken for a user or role, of an account that may be known.
	UnknownPrincipal
)

// AccountRole is an account's place in its organization.
type AccountRole uint8

// Account roles.
const (
	NoOrganization AccountRole = iota
	Member
	Management
)

// A Principal is who calls.
type Principal struct {
	Type    PrincipalType
	ARN     string // as in messages: user, session, federated user or root ARN; service name for Service
	RoleARN string // RoleSession: the role's ARN with its path
	// ParentARN is the user who called GetFederationToken, for FederatedUser.
	ParentARN string
	Account   string
	UserID    string // aws:userid
	// UniqueID is the stable id of the user or role (AIDA..., AROA...), or "" if it has none.
	UniqueID string
	Username string
	Tags     map[string]string // aws:PrincipalTag: role or user tags overlaid by session tags
	OrgID    string
	OrgPaths []string
	// AccountRole matters for SCPs: they do not limit the management account.
	AccountRole AccountRole
}

// IsServiceLinked reports whether the principal is a session of a service-linked role.
func (p *Principal) IsServiceLinked() bool {
	_, path, _ := strings.Cut(p.RoleARN, "/")
	return p.Type == RoleSession && strings.HasPrefix(path, "aws-service-role/") && arn.IsServiceLinkedRole(p.RoleARN)
}

// A Value is what the request context holds for one condition key. A single-valued key and a
// list of one are different types. The zero Value is the empty string.
type Value = condition.Value

// An Entry of a [Context]. Key is lower-case, except for what follows the first slash or the
// second colon (tag keys, encryption-context keys), which keeps its case for display; all of it
// compares without regard to case.
type Entry = condition.Entry

// A Context is the condition keys that a request supplies, on top of those that the engine
// derives from principal and resource. A later entry overrides an earlier one.
type Context []Entry

// Set appends a single-valued key.
func (c *Context) Set(key, value string) { *c = append(*c, Entry{Key: key, Value: Value{One: value}}) }

// SetBool appends "true" or "false".
func (c *Context) SetBool(key string, v bool) {
	if v {
		c.Set(key, "true")
	} else {
		c.Set(key, "false")
	}
}

// SetList appends a multivalued key.
func (c *Context) SetList(key string, values []string) {
	*c = append(*c, Entry{Key: key, Value: Value{List: values, Multi: true}})
}

// SetUnknown appends a key of unknown presence and value.
func (c *Context) SetUnknown(key string) {
	*c = append(*c, Entry{Key: key, Value: Value{Unknown: true}})
}

// A Tag is one of a resource. Keys differ.
type Tag = condition.Tag

// TagsOf are tags by their keys, in the order of these.
func TagsOf(tags map[string]string) []Tag {
	var list []Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, Tag{Key: key, Value: tags[key]})
	}
	return list
}

// A Resource is what an action is done to.
type Resource struct {
	ARN     string // "*" if the action has no resource
	Account string // owner; "" if there is none
	Tags    []Tag
	OrgID   string
	// OrgPaths are the owner's, as in aws:ResourceOrgPaths.
	OrgPaths    []string
	AccountRole AccountRole
	// AWSManaged marks an AWS managed KMS key: RCPs do not apply to it.
	AWSManaged bool
	Unknown    bool // ARN not known yet
}

// A Grant is a KMS grant as it bears on a decision.
type Grant struct {
	ID             string
	Grantee        string // ARN, or service principal
	GranteeID      string // unique id of the grantee when the grant was made; "" if it has none
	Retiring       string
	RetiringID     string
	IssuingAccount string // 12 digits
	Operations     []string
	// Constraints: nil maps are absent.
	ContextEquals, ContextSubset map[string]string
	SourceARN                    string
}

// A Part is one evaluation of a request: an action on a resource.
type Part struct {
	Action   string // "kms:CreateGrant"
	Resource Resource
	Context  Context // keys of this part only; they override the request's
	// ShownAs is what a refusal calls the resource to an account that does not own it, if that is not
	// its ARN: the alias by which it was asked for. It decides nothing.
	ShownAs string
	// Policy is the resource's policy, or nil. Authoritative means that without it nothing in
	// the resource's account allows, not even for root: KMS keys and role trust policies.
	Policy        *Document
	Authoritative bool
	RCPs          [][]*Document // levels (root, OUs, account); nil if none apply; RCPFullAWSAccess is implied
	// Grants of the key, in any order. Only those whose grantee is the principal matter.
	Grants []Grant
	// GrantIndex holds more of them, where there are many. Only those that name the caller are
	// looked at, in explained mode too.
	GrantIndex *GrantIndex
	// EncryptionContext is compared with grant constraints. For CreateGrant it is that of the
	// new grant's constraint.
	EncryptionContext map[string]string
	// NewGrant is what kms:CreateGrant asks for: a parent grant must cover it. nil otherwise.
	NewGrant *Grant
	// Target is the grant that kms:RetireGrant is about. nil otherwise.
	Target *Grant
}

// PassRole asks whether the caller may hand a role to a service, for a request of an account.
// Source: IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
func PassRole(role, account, service string) Part {
	p := Part{Action: "iam:PassRole", Resource: Resource{ARN: role, Account: account}}
	p.Context.Set("iam:passedtoservice", service)
	return p
}

// A Request is everything that an answer depends on.
type Request struct {
	Principal Principal
	Context   Context
	Identity  []*Document // the principal's own and, for users, its groups'
	Boundary  *Document
	// Session is nil if no session policy was passed; else their union limits the session.
	Session  []*Document
	SCPs     [][]*Document // levels; nil if none apply
	Endpoint *Document
	Parts    []Part
}

// A Decision is an outcome and its evidence. The zero Decision denies.
type Decision struct {
	Outcome Outcome
	// Part is the index of the part that decided (the first that is not allowed), or -1.
	Part  int
	Parts []PartDecision // per part; empty in fast mode when all are allowed
}

// A PartDecision is the evidence of one part.
type PartDecision struct {
	Action   string
	Resource string
	Outcome  Outcome
	// By is the layer that decided: that denied, whose allow is missing, or that allowed.
	By Layer
	// Also is the second side when two were needed (identity and resource).
	Also Layer
	// Matched are the statements that apply and the grants that were usable.
	Matched []Match
	// Missed are statements and grants that concern the principal or the action but do not
	// apply, each with the first reason why. Only from [Explain].
	Missed []Miss
	// Silent are the layers that would each have to allow; only for ImplicitDeny.
	Silent []Layer
	// Depends are the facts that would settle an Undetermined outcome: "principal", "resource",
	// "key aws:SourceIp" (a condition key), "document NAME".
	Depends []string
	// CrossAccount reports whether principal and resource are in different accounts.
	CrossAccount bool
	// Delegated reports whether the resource policy names the account, which leaves the
	// decision to identity policies.
	Delegated bool
	// Lacking are the levels of organizations whose policies have no allow. Only from [Explain].
	Lacking []Level
	// HomeOnly reports that the action cannot be done on a key of another account, whatever
	// policies say, and that this is such a key.
	HomeOnly bool
}

// A Level of an organization has policies of its own.
type Level struct {
	Layer  Layer  // LayerSCP or LayerRCP
	Target string // ARN of the root, the organizational unit or the account; "" if not known
}

// A Match is a statement or grant that applies.
type Match struct {
	Layer    Layer
	Document string // its name
	Owner    string
	Sid      string // the Sid, or "#2" for the second statement without one
	Effect   policy.Effect
	Pos      policy.Pos
	GrantID  string
	// Account reports that the statement names the account and so only delegates.
	Account bool
	// Target is the ARN of what an organization's policy hangs on.
	Target string
}

// MissReason says why a statement or grant does not apply.
type MissReason uint8

// Reasons, in the order they are tested.
const (
	MissPrincipal     MissReason = iota + 1
	MissDeadPrincipal            // names a deleted principal of the same ARN
	MissAction
	MissResource
	MissCondition
	MissGrantee
	MissOperation
	MissConstraint
	MissNotSubset // a parent grant that does not cover the new grant
	MissSourceARN
)

// A Miss is a statement or grant that does not apply, and why.
type Miss struct {
	Match
	Reason MissReason
	// Condition is the operator and key of the first condition that is false.
	Operator, Key string
	Want          []string // its values in the statement
	Got           Value
	Present       bool // the key was in the request
}

// String is the layer's name in the decision corpus and in the command line's answers. A trust
// policy is the role's resource policy there.
func (l Layer) String() string {
	switch l {
	case LayerIdentity:
		return "identity"
	case LayerResource, LayerTrust:
		return "resource"
	case LayerBoundary:
		return "boundary"
	case LayerSession:
		return "session"
	case LayerSCP:
		return "scp"
	case LayerRCP:
		return "rcp"
	case LayerEndpoint:
		return "endpoint"
	case LayerGrant:
		return "grant"
	case LayerRoot:
		return "root"
	}
	return "none"
}
