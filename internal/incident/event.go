package incident

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
)

// An Event is CloudTrail's record of a call, as far as it matters here.
//
// Source: CloudTrail User Guide, "CloudTrail record contents".
type Event struct {
	EventTime    string // RFC 3339
	EventSource  string
	EventName    string
	AwsRegion    string
	ErrorCode    string
	ErrorMessage string
	EventID      string
	UserAgent    string
	SourceIP     string `json:"sourceIPAddress"`
	UserIdentity struct {
		Type, PrincipalID, ARN, AccountID, UserName, InvokedBy string
		SessionContext                                         *struct {
			SessionIssuer *struct{ Type, ARN, AccountID, UserName string }
		}
		InScopeOf *struct{ IssuerType, CredentialsIssuedTo string }
	}
	RequestParameters  *parameters
	Resources          []struct{ ARN, AccountID string }
	RecipientAccountID string
}

// parameters of calls to KMS.
type parameters struct {
	KeyID                        string
	EncryptionContext            map[string]string
	SourceKeyID                  string
	SourceEncryptionContext      map[string]string
	DestinationKeyID             string
	DestinationEncryptionContext map[string]string
	GranteePrincipal             string
	GranteeServicePrincipal      string
	RetiringPrincipal            string
	Operations                   []string
	Constraints                  *struct {
		EncryptionContextSubset, EncryptionContextEquals map[string]string
		SourceARN                                        string
	}
}

// UnmarshalJSON takes what has the shape of KMS's parameters, and leaves out what has not.
func (p *parameters) UnmarshalJSON(data []byte) error {
	type plain parameters
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil // text, or a list: of another service
	}
	for name, value := range members {
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			continue
		}
		next := plain(*p)
		if json.Unmarshal(one, &next) == nil {
			*p = parameters(next)
		}
	}
	return nil
}

// failed reports whether the event is of a call to KMS that failed for something other than haste.
func (e *Event) failed() bool {
	return e.EventSource == "kms.amazonaws.com" && e.ErrorCode != "" &&
		!slices.Contains([]string{"DryRunOperation", "Throttling", "ThrottlingException", "LimitExceeded"}, strings.TrimSuffix(e.ErrorCode, "Exception"))
}

// denied reports whether permission was missing. Records have either code.
func (e *Event) denied() bool { return strings.TrimSuffix(e.ErrorCode, "Exception") == "AccessDenied" }

// principal is who was refused, as policies name it: the role of a session.
func (e *Event) principal() string {
	u := &e.UserIdentity
	switch {
	case u.Type == "AWSService" || u.ARN == "":
		return u.InvokedBy
	case u.SessionContext != nil && u.SessionContext.SessionIssuer != nil && u.SessionContext.SessionIssuer.Type == "Role" && u.SessionContext.SessionIssuer.ARN != "":
		return u.SessionContext.SessionIssuer.ARN
	}
	if a, err := arn.Parse(u.ARN); err == nil && a.Type() == "assumed-role" {
		role, _, _ := strings.Cut(a.ID(), "/")
		return arn.Role(a.Account, "/", role)
	}
	return u.ARN
}

// session is the name of the session of a role.
func (e *Event) session() string {
	if a, err := arn.Parse(e.UserIdentity.ARN); err == nil && a.Type() == "assumed-role" {
		_, name, _ := strings.Cut(a.ID(), "/")
		return name
	}
	return ""
}

// context is the encryption context of the call.
func (e *Event) context() map[string]string {
	p := e.RequestParameters
	switch {
	case p == nil:
		return nil
	case p.EncryptionContext != nil:
		return p.EncryptionContext
	case p.Constraints != nil && p.Constraints.EncryptionContextSubset != nil:
		return p.Constraints.EncryptionContextSubset
	case p.Constraints != nil && p.Constraints.EncryptionContextEquals != nil:
		return p.Constraints.EncryptionContextEquals
	case p.DestinationEncryptionContext != nil:
		return p.DestinationEncryptionContext
	}
	return p.SourceEncryptionContext
}

// volumeContext is the encryption context that EBS uses.
const volumeContext = "aws:ebs:id"

// via is the service through which the call came, and the value that kms:ViaService had; both are ""
// if it came directly, or nobody can tell.
func (e *Event) via() (service, condition string) {
	service = e.UserIdentity.InvokedBy
	if service == "" && strings.HasSuffix(e.SourceIP, ".amazonaws.com") {
		service = e.SourceIP
	}
	_, volume := e.context()[volumeContext]
	switch {
	case volume, strings.HasPrefix(service, "ec2"), service == "autoscaling.amazonaws.com", service == "ebs.amazonaws.com", e.infrastructure():
		return service, "ec2." + e.AwsRegion + ".amazonaws.com" // volumes are EC2's
	case strings.HasSuffix(service, ".amazonaws.com"):
		name, _, _ := strings.Cut(service, ".")
		return service, name + "." + e.AwsRegion + ".amazonaws.com"
	}
	return service, ""
}

// infrastructure reports whether an instance asked with its own role.
func (e *Event) infrastructure() bool {
	return strings.HasSuffix(e.principal(), ":role/aws:ec2-infrastructure")
}

// key is the ARN of the key that the call was about; "" if the record does not tell. Of the two of a
// ReEncrypt it is the one of which the message speaks.
func (e *Event) key() string {
	if _, rest, ok := strings.Cut(e.ErrorMessage, "arn:aws:kms:"); ok {
		end := strings.IndexAny(rest+" ", " ,'\"()")
		if name := "arn:aws:kms:" + strings.TrimRight(rest[:end], "."); isKey(name) {
			return name
		}
	}
	if actions := e.actions(); e.EventName == "ReEncrypt" && len(actions) == 1 {
		if name := e.keyOf(actions[0]); name != "" {
			return name
		}
	}
	for _, r := range e.Resources {
		if isKey(r.ARN) {
			return r.ARN
		}
	}
	if p := e.RequestParameters; p != nil {
		for _, id := range []string{p.KeyID, p.DestinationKeyID, p.SourceKeyID} {
			if name := e.arnOf(id); name != "" {
				return name
			}
		}
	}
	return ""
}

// keyOf is the key that the parameters of a ReEncrypt have for one of its actions.
func (e *Event) keyOf(action string) string {
	p := e.RequestParameters
	switch {
	case p == nil:
		return ""
	case action == "kms:ReEncryptFrom":
		return e.arnOf(p.SourceKeyID)
	case action == "kms:ReEncryptTo":
		return e.arnOf(p.DestinationKeyID)
	}
	return ""
}

// arnOf is the ARN of a key that an id or ARN names; "" of an alias.
func (e *Event) arnOf(id string) string {
	switch {
	case isKey(id):
		return id
	case keyID(id) && arn.IsAccount(e.RecipientAccountID):
		return arn.KMSKey(e.AwsRegion, e.RecipientAccountID, id)
	}
	return ""
}

// given is the identifier of the key as the call had it.
func (e *Event) given() string {
	if p := e.RequestParameters; p != nil {
		for _, id := range []string{p.KeyID, p.DestinationKeyID, p.SourceKeyID} {
			if id != "" {
				return id
			}
		}
	}
	return ""
}

func isKey(name string) bool {
	a, err := arn.Parse(name)
	return err == nil && a.Service == "kms" && a.Type() == "key" && a.ID() != ""
}

// keyID reports whether a text is the id of a key alone.
func keyID(s string) bool {
	return strings.HasPrefix(s, "mrk-") || len(s) == 36 && strings.Count(s, "-") == 4
}

// actions are the permissions that were asked for. Of a ReEncrypt the message tells which was missing.
func (e *Event) actions() []string {
	if _, rest, ok := strings.Cut(e.ErrorMessage, "not authorized to perform: "); ok {
		action, _, _ := strings.Cut(rest, " ")
		if strings.HasPrefix(action, "kms:") {
			return []string{action}
		}
	}
	if e.EventName == "ReEncrypt" {
		return []string{"kms:ReEncryptFrom", "kms:ReEncryptTo"}
	}
	return []string{"kms:" + e.EventName}
}
