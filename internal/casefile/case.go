package casefile

import (
	"github.com/go-json-experiment/json/jsontext"
)

// A Case is one line.
type Case struct {
	ID         string `json:"id"`
	Why        string `json:"why"`
	Note       string `json:"note"`
	Confidence string `json:"confidence"`
	Doc        string `json:"doc"`

	Principal Principal                 `json:"principal"`
	Action    string                    `json:"action"`
	Resource  Resource                  `json:"resource"`
	Context   map[string]jsontext.Value `json:"context"`
	Request   Parameters                `json:"request"`

	IdentityPolicies []jsontext.Value   `json:"identityPolicies"`
	Boundary         jsontext.Value     `json:"boundary"`
	SCPs             [][]jsontext.Value `json:"scps"`
	RCPs             [][]jsontext.Value `json:"rcps"`
	ResourcePolicy   jsontext.Value     `json:"resourcePolicy"`
	Grants           []Grant            `json:"grants"`
	VPCEPolicy       jsontext.Value     `json:"vpcePolicy"`

	Expect *Expect `json:"expect"`
}

// A Principal is the caller of a case.
type Principal struct {
	Type      string `json:"type"`
	ARN       string `json:"arn"`
	RoleARN   string `json:"roleArn"`
	ParentARN string `json:"parentArn"`
	Account   string `json:"account"`
	UserID    string `json:"userid"`
	// UniqueID is that of the user or role. If it is not given it comes from the userid, where that
	// has one.
	UniqueID        string            `json:"uniqueId"`
	SessionName     string            `json:"sessionName"`
	Tags            map[string]string `json:"tags"`
	Org             string            `json:"org"`
	OrgPaths        []string          `json:"orgPaths"`
	AccountRole     string            `json:"accountRole"`
	SessionPolicies []jsontext.Value  `json:"sessionPolicies"`
}

// A Resource is what a case is about.
type Resource struct {
	ARN         string            `json:"arn"`
	Account     string            `json:"account"`
	Tags        map[string]string `json:"tags"`
	Org         string            `json:"org"`
	OrgPaths    []string          `json:"orgPaths"`
	AccountRole string            `json:"accountRole"`
	KeyManager  string            `json:"keyManager"`
	Unknown     bool              `json:"unknown"`
}

// Parameters are those of a KMS request that yield condition keys and bear on grants.
type Parameters struct {
	EncryptionContext        map[string]string `json:"encryptionContext"`
	GrantOperations          []string          `json:"grantOperations"`
	GranteePrincipal         string            `json:"granteePrincipal"`
	GranteeServicePrincipal  string            `json:"granteeServicePrincipal"`
	RetiringPrincipal        string            `json:"retiringPrincipal"`
	RetiringServicePrincipal string            `json:"retiringServicePrincipal"`
	Constraints              Constraints       `json:"constraints"`
}

// Constraints of a grant.
type Constraints struct {
	EncryptionContextSubset map[string]string `json:"EncryptionContextSubset"`
	EncryptionContextEquals map[string]string `json:"EncryptionContextEquals"`
	SourceARN               string            `json:"SourceArn"`
}

// A Grant has the members of KMS's ListGrants.
type Grant struct {
	ID                       string      `json:"GrantId"`
	KeyID                    string      `json:"KeyId"`
	Name                     string      `json:"Name"`
	CreationDate             any         `json:"CreationDate"`
	IssuingAccount           string      `json:"IssuingAccount"`
	GranteePrincipal         string      `json:"GranteePrincipal"`
	GranteeServicePrincipal  string      `json:"GranteeServicePrincipal"`
	RetiringPrincipal        string      `json:"RetiringPrincipal"`
	RetiringServicePrincipal string      `json:"RetiringServicePrincipal"`
	Operations               []string    `json:"Operations"`
	Constraints              Constraints `json:"Constraints"`
}

// Expect is the decision that a case should have. An empty By is not looked at.
type Expect struct {
	Decision string   `json:"decision"`
	By       string   `json:"by,omitempty"`
	ByAny    []string `json:"byAny,omitempty"`
}
