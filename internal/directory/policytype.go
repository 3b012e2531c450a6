package directory

import (
	"slices"
	"time"
)

// A PolicyType is a kind of policy that hangs on an organization's root, units and accounts.
type PolicyType string

// Policy types that limit what is allowed.
const (
	SCP PolicyType = "SERVICE_CONTROL_POLICY"
	RCP PolicyType = "RESOURCE_CONTROL_POLICY"
)

// PolicyTypes are those two, and the management policies, which say how services are to be set up
// and which accounts inherit from above. Source: AWS Organizations User Guide, "Managing organization
// policies".
func PolicyTypes() []PolicyType {
	return []PolicyType{
		SCP, RCP, "TAG_POLICY", "BACKUP_POLICY", "AISERVICES_OPT_OUT_POLICY", "CHATBOT_POLICY", "DECLARATIVE_POLICY_EC2", "SECURITYHUB_POLICY",
		"INSPECTOR_POLICY", "UPGRADE_ROLLOUT_POLICY", "BEDROCK_POLICY", "S3_POLICY", "NETWORK_SECURITY_DIRECTOR_POLICY",
	}
}

// Limits reports whether policies of the type limit what is allowed.
func (t PolicyType) Limits() bool { return t == SCP || t == RCP }

// Full is the id of AWS's policy of a type that limits, which allows everything and hangs everywhere
// from the start; "" for the others, which begin with none.
func (t PolicyType) Full() string {
	switch t {
	case SCP:
		return "p-FullAWSAccess"
	case RCP:
		return "p-RCPFullAWSAccess"
	}
	return ""
}

// FullDocument is the text of that policy.
func (t PolicyType) FullDocument() string {
	if t == RCP {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
}

// initial are the policies of the type that hang on a target of which nothing else was said.
func (t PolicyType) initial() []string {
	if !t.Limits() {
		return nil
	}
	return []string{t.Full()}
}

// hangs reports whether ids are what hangs on a target from the start.
func (t PolicyType) hangs(ids []string) bool { return slices.Equal(ids, t.initial()) }

// A ResourcePolicy lets other accounts call Organizations as its managing account does.
type ResourcePolicy struct {
	ID       string `json:"id"` // rp-...
	Document string `json:"document"`
	Tags     []Tag  `json:"tags,omitempty"`
}

// An OrgPolicy is a customer's policy of an organization.
type OrgPolicy struct {
	ID          string     `json:"id"` // p-...
	Type        PolicyType `json:"type"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Document    string     `json:"document"`
	Tags        []Tag      `json:"tags,omitempty"`
	Updated     time.Time  `json:"updated,omitzero"` // the document; of management policies
}
