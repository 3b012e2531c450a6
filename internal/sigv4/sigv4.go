// Package sigv4 verifies and makes AWS Signature Version 4, in the Authorization header and in the
// query string of a presigned URL.
//
// [Verifier.Verify] answers who signed a request and for which region and service; it decides
// nothing else. What a signature covers is what the request is: the method, path, query, body,
// host and every x-amz-* header are covered or the request is refused.
//
// Source: IAM User Guide, "Create a signed AWS API request" and "Elements of an AWS API request
// signature", "Authentication methods" (query string parameters).
package sigv4

import (
	"time"

	"github.com/kagimori/kagimori/internal/secret"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z" // ISO 8601 basic, always UTC
)

// Names of headers, as net/http keys them.
const (
	authorizationHeader = "Authorization"
	dateHeader          = "X-Amz-Date"
	hashHeader          = "X-Amz-Content-Sha256"
	tokenHeader         = "X-Amz-Security-Token"
)

// A Kind is why a request is not authenticated. The zero Kind is none of them.
type Kind uint8

// Kinds.
const (
	_            Kind = iota
	MissingToken      // no AWS signature at all
	Incomplete        // a signature that cannot be read
	UnknownKey        // nobody has the access key id
	Expired           // signed too long ago, or in the future
	ExpiredToken      // the session has ended
	InvalidToken      // the session token is not one of ours, or not of this access key id
	Mismatch          // the signature is not that of the request
	WrongScope        // the credential scope names another date, region, service or terminator
)

// An Error is a request that is not authenticated. Message is AWS's text; it never holds a secret,
// a session token or a signature.
type Error struct {
	Kind    Kind
	Message string
}

// Error is the message.
func (e *Error) Error() string { return "sigv4: " + e.Message }

// A Result says what a good signature covers.
type Result struct {
	AccessKeyID   string
	SessionToken  string // "" for long-term credentials
	Region        string // of the credential scope; any text
	Service       string // of the credential scope; any text
	Date          time.Time
	SignedHeaders []string // lower-case
}

// Credentials sign requests.
type Credentials struct {
	AccessKeyID  string
	Secret       secret.String
	SessionToken string // "" for long-term credentials
}
