// Package trail is the audit log: one record per request, in CloudTrail's shape, with the decisions
// that were made on the way.
//
// Records are lines of JSON in segment files. Each line carries the SHA-256 of the line before,
// which carries that of the one before it: a line that was changed, removed or put in shows. A
// segment ends with a checkpoint, a line that the server signs. Who can write the folder can
// remove the end of the log, but not change what a checkpoint covers.
//
// The record of a change lies in the transaction of the change (the outbox) and is appended to the
// log right after; everything else is appended before the client gets its answer. The outbox forgets
// records a moment later, many with one commit, when the disk has the log.
//
// Source: AWS CloudTrail User Guide, "CloudTrail record contents".
package trail

import (
	"encoding/json"
	"time"
)

// A Record is one event. Append and PutTx keep what it points to: do not change it after.
type Record struct {
	EventVersion        string          `json:"eventVersion"`
	UserIdentity        UserIdentity    `json:"userIdentity"`
	EventTime           time.Time       `json:"eventTime"` // kept in whole seconds, UTC
	EventSource         string          `json:"eventSource"`
	EventName           string          `json:"eventName"`
	AWSRegion           string          `json:"awsRegion"`
	SourceIPAddress     string          `json:"sourceIPAddress"`
	UserAgent           string          `json:"userAgent"`
	ErrorCode           string          `json:"errorCode,omitempty"`
	ErrorMessage        string          `json:"errorMessage,omitempty"`
	RequestParameters   json.RawMessage `json:"requestParameters"`
	ResponseElements    json.RawMessage `json:"responseElements"`
	AdditionalEventData Extra           `json:"additionalEventData,omitempty"`
	ServiceEventDetails json.RawMessage `json:"serviceEventDetails,omitempty"` // of an AwsServiceEvent
	RequestID           string          `json:"requestID"`
	EventID             string          `json:"eventID"`
	ReadOnly            bool            `json:"readOnly"`
	Resources           []Resource      `json:"resources,omitempty"`
	EventType           string          `json:"eventType"`
	ManagementEvent     bool            `json:"managementEvent"`
	RecipientAccountID  string          `json:"recipientAccountId,omitempty"`
	SharedEventID       string          `json:"sharedEventID,omitempty"`
	EventCategory       string          `json:"eventCategory"`
	Kagimori            Extension       `json:"kagimori"` // the last member: see encode

	// Encoded says that what is JSON in the record already was made by an encoder of this program, so
	// that Append need not find out whether it is JSON.
	Encoded bool `json:"-"`
}

// An Extension is what kagimori adds to a record. All but Decisions is set when the record is
// written.
type Extension struct {
	Version   int               `json:"version"` // format of the record
	Decisions []json.RawMessage `json:"decisions,omitempty"`
	Sequence  uint64            `json:"sequence"` // 1, 2, ... without a gap
	Previous  string            `json:"previous"` // SHA-256 of the line before, in hex; zeros in the first
}

// UserIdentity says who made the request.
type UserIdentity struct {
	Type           string          `json:"type,omitempty"` // absent in an AwsServiceEvent
	PrincipalID    string          `json:"principalId,omitempty"`
	ARN            string          `json:"arn,omitempty"`
	AccountID      string          `json:"accountId,omitempty"`
	AccessKeyID    string          `json:"accessKeyId,omitempty"`
	UserName       string          `json:"userName,omitempty"`
	SessionContext *SessionContext `json:"sessionContext,omitempty"`
	InvokedBy      string          `json:"invokedBy,omitempty"`
	// IdentityProvider is that of a WebIdentityUser or SAMLUser.
	IdentityProvider string     `json:"identityProvider,omitempty"`
	InScopeOf        *InScopeOf `json:"inScopeOf,omitempty"`
}

// SessionContext describes a role session.
type SessionContext struct {
	SessionIssuer SessionIssuer      `json:"sessionIssuer"`
	Attributes    *SessionAttributes `json:"attributes,omitempty"`
}

// SessionIssuer is the role of a session.
type SessionIssuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId,omitempty"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName"`
}

// SessionAttributes are those of temporary credentials.
type SessionAttributes struct {
	CreationDate     time.Time `json:"creationDate"`
	MFAAuthenticated bool      `json:"mfaAuthenticated,string"`
}

// InScopeOf names the resource that holds the credentials.
type InScopeOf struct {
	IssuerType          string `json:"issuerType"`
	CredentialsIssuedTo string `json:"credentialsIssuedTo"`
}

// A Resource that the event is about.
type Resource struct {
	AccountID string `json:"accountId,omitempty"`
	Type      string `json:"type,omitempty"`
	ARN       string `json:"ARN"`
}
