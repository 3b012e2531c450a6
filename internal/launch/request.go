package launch

import (
	"maps"
	"slices"
	"strconv"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
)

// Actor is who makes a KMS request.
type Actor string

// Actors.
const (
	Caller         Actor = "caller"         // the principal that called EC2, forwarded
	Infrastructure Actor = "infrastructure" // the instance's own role: no policies, only grants
	EBS            Actor = "ebs"            // the data plane that fills volumes
	EC2            Actor = "ec2"            // retires grants
)

// EBSService is the service principal that EBS works as, and the grantee of creation grants.
const EBSService = "ebs.amazonaws.com"

// EC2Service is the element that EC2 adds to aws:CalledVia.
const EC2Service = "ec2.amazonaws.com"

// ContextKey is the only name in the encryption context of EBS.
const ContextKey = "aws:ebs:id"

// DataKeyBytes is the size of a volume's data key: two 256-bit keys, for AES-256-XTS.
const DataKeyBytes = 64

// Call is a KMS operation.
type Call string

// Calls.
const (
	CreateGrant     Call = "CreateGrant"
	GenerateDataKey Call = "GenerateDataKeyWithoutPlaintext"
	ReEncrypt       Call = "ReEncrypt"
	// AuthorizeReEncrypt asks only for the permission (a DryRun ReEncrypt). It must be allowed
	// but carries no key over, so the owner of the source key can never open the new volume. The
	// two keys may be in different regions, where a real ReEncrypt is impossible.
	AuthorizeReEncrypt Call = "AuthorizeReEncrypt"
	Decrypt            Call = "Decrypt"
	DescribeKey        Call = "DescribeKey"
	RetireGrant        Call = "RetireGrant"
)

// Purpose says what a grant is for.
type Purpose string

// Purposes. Source and Target grants are creation grants: they are retired when the volume is
// filled. The attach grant stays until detach, stop or termination.
const (
	ForSource Purpose = "source" // EBS reads a snapshot under another key
	ForTarget Purpose = "target" // EBS writes the new volume
	ForAttach Purpose = "attach" // the instance opens the volume
)

// A Request is one KMS request as data. Fields that the Call does not have are zero.
type Request struct {
	Call    Call
	As      Actor
	Purpose Purpose `json:",omitempty"` // CreateGrant, RetireGrant
	// KeyARN is the key; for ReEncrypt the destination. A request goes to the region of its key.
	KeyARN            string
	EncryptionContext map[string]string `json:",omitempty"` // for ReEncrypt of the destination
	NumberOfBytes     int               `json:",omitempty"`
	// Ciphertext of Decrypt and ReEncrypt; nil if the driver supplied none.
	Ciphertext              []byte            `json:",omitempty"`
	SourceKeyARN            string            `json:",omitempty"` // ReEncrypt
	SourceEncryptionContext map[string]string `json:",omitempty"`
	// Grant is what CreateGrant asks for, or the one that RetireGrant ends.
	Grant       *Grant   `json:",omitempty"`
	GrantTokens []string `json:",omitempty"`

	// What the request's context follows from.
	Account   string   // of the instance
	Instance  string   `json:",omitempty"`
	TargetARN string   // volume or snapshot on whose behalf this is done
	CalledVia []string `json:",omitempty"` // complete: ends with EC2; only for Caller
}

// A Grant is a grant to be made, or made.
type Grant struct {
	GrantRef  // zero until it is made
	Grantee   string
	ByService bool // Grantee goes into GranteeServicePrincipal instead of GranteePrincipal
	// Retiring is RetiringPrincipal, also if the grantee is a service.
	Retiring       string
	Operations     []string
	ContextSubset  map[string]string
	SourceARN      string `json:",omitempty"` // constraint on aws:SourceArn
	IssuingAccount string
}

// Authz is the grant as [authz.Decide] wants it.
func (g Grant) Authz() authz.Grant {
	return authz.Grant{
		ID: g.ID, Grantee: g.Grantee, Retiring: g.Retiring, IssuingAccount: g.IssuingAccount,
		Operations:    slices.Clone(g.Operations),
		ContextSubset: maps.Clone(g.ContextSubset),
		SourceARN:     g.SourceARN,
	}
}

// ViaService is the value of kms:ViaService for requests that EC2 forwards to a key of region,
// and the retiring principal of its grants. Source: KMS Developer Guide, "kms:ViaService".
func ViaService(region string) string { return "ec2." + region + ".amazonaws.com" }

// Principal is the principal of the request, without organization fields, which the driver
// fills in. It is false for [Caller]: only the driver knows who called.
func (r Request) Principal() (authz.Principal, bool) {
	switch r.As {
	case Infrastructure:
		return authz.Principal{
			Type:    authz.RoleSession,
			ARN:     arn.InfrastructureSession(r.Account, r.Instance),
			RoleARN: arn.InfrastructureRole(r.Account),
			Account: r.Account,
			UserID:  r.Account + ":aws:ec2-infrastructure:" + r.Instance,
		}, true
	case EBS:
		return authz.Principal{Type: authz.Service, ARN: EBSService}, true
	case EC2:
		return authz.Principal{Type: authz.Service, ARN: ViaService(keyRegion(r.KeyARN))}, true
	}
	return authz.Principal{}, false
}

// Parts are the evaluations that the request needs, in the order in which KMS makes them, with
// action, resource ARN and account, condition keys, encryption context and grant filled in. The
// driver adds what belongs to the key: tags, policy, grants, RCPs, and the condition keys that
// tell its properties (kms:KeySpec and the like).
func (r Request) Parts() []authz.Part {
	switch r.Call {
	case ReEncrypt, AuthorizeReEncrypt:
		return []authz.Part{
			r.part("kms:ReEncryptFrom", r.SourceKeyARN, r.SourceEncryptionContext),
			r.part("kms:ReEncryptTo", r.KeyARN, r.EncryptionContext),
		}
	case CreateGrant:
		p := r.part("kms:CreateGrant", r.KeyARN, r.Grant.ContextSubset)
		p.NewGrant = new(r.Grant.Authz())
		return []authz.Part{p}
	case RetireGrant:
		p := r.part("kms:RetireGrant", r.KeyARN, r.Grant.ContextSubset)
		p.Target = new(r.Grant.Authz())
		return []authz.Part{p}
	}
	return []authz.Part{r.part("kms:"+string(r.Call), r.KeyARN, r.EncryptionContext)}
}

func (r Request) part(action, key string, ec map[string]string) authz.Part {
	return authz.Part{
		Action:            action,
		Resource:          authz.Resource{ARN: key, Account: keyAccount(key)},
		Context:           r.context(key, ec),
		EncryptionContext: maps.Clone(ec),
		Authoritative:     true,
	}
}

// context is what server and doctor alike supply as condition keys. Sources: KMS Developer
// Guide, "AWS KMS condition keys"; IAM User Guide, "AWS global condition context keys".
func (r Request) context(key string, ec map[string]string) authz.Context {
	var c authz.Context
	region := keyRegion(key)
	c.Set("aws:requestedregion", region)
	c.SetBool("aws:securetransport", true)
	r.addOrigin(&c, region)
	r.addCall(&c)
	if len(ec) > 0 {
		names := slices.Sorted(maps.Keys(ec))
		for _, k := range names {
			c.Set("kms:encryptioncontext:"+k, ec[k])
		}
		c.SetList("kms:encryptioncontextkeys", names)
	}
	return c
}

// addOrigin adds the keys that follow from who asks.
func (r Request) addOrigin(c *authz.Context, region string) {
	c.SetBool("aws:viaawsservice", r.As == Caller)
	switch r.As {
	case Caller:
		c.Set("kms:viaservice", ViaService(region))
		c.Set("kms:calleraccount", r.Account)
		if n := len(r.CalledVia); n > 0 {
			c.SetList("aws:calledvia", slices.Clone(r.CalledVia))
			c.Set("aws:calledviafirst", r.CalledVia[0])
			c.Set("aws:calledvialast", r.CalledVia[n-1])
		}
	case Infrastructure:
		// Whether AWS sets kms:ViaService here is unknown. We do: a policy that admits only
		// requests through EC2 means these too.
		c.Set("kms:viaservice", ViaService(region))
		c.Set("kms:calleraccount", r.Account)
		c.Set("ec2:sourceinstancearn", arn.EC2(region, r.Account, "instance/"+r.Instance))
	case EBS, EC2:
		// A service has no account of its own and comes directly, so neither kms:CallerAccount
		// nor kms:ViaService exists; the keys against the confused deputy do.
		c.Set("aws:sourceaccount", r.Account)
		c.Set("aws:sourcearn", r.TargetARN)
	}
}

// addCall adds the keys that follow from what is asked.
func (r Request) addCall(c *authz.Context) {
	switch r.Call {
	case GenerateDataKey, Decrypt:
		c.Set("kms:encryptionalgorithm", "SYMMETRIC_DEFAULT")
	case ReEncrypt, AuthorizeReEncrypt:
		c.Set("kms:encryptionalgorithm", "SYMMETRIC_DEFAULT")
		c.SetBool("kms:reencryptonsamekey", r.SourceKeyARN == r.KeyARN)
	case RetireGrant:
		c.Set("kms:grantconstrainttype", "EncryptionContextSubset")
	case CreateGrant:
		g := r.Grant
		c.SetBool("kms:grantisforawsresource", true)
		c.Set("kms:grantconstrainttype", "EncryptionContextSubset")
		c.SetList("kms:grantoperations", slices.Clone(g.Operations))
		c.Set("kms:retiringprincipal", g.Retiring)
		if g.ByService {
			c.Set("kms:granteeserviceprincipal", g.Grantee)
			c.Set("kms:grantconstraintsourcearn", g.SourceARN)
		} else {
			c.Set("kms:granteeprincipal", g.Grantee)
		}
	}
}

func keyRegion(key string) string {
	a, _ := arn.Parse(key) // checked when it came in
	return a.Region
}

func keyAccount(key string) string {
	a, _ := arn.Parse(key)
	return a.Account
}

// String names the request for logs: call, actor and key, no payload.
func (r Request) String() string {
	s := string(r.Call) + " as " + string(r.As) + " on " + strconv.Quote(r.KeyARN)
	if r.Purpose != "" {
		s += " for " + string(r.Purpose)
	}
	return s
}
