package xks

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// A Failure is why a proxy did not do what was asked: one of the protocol's error names, or one of
// those that only KMS sees.
type Failure string

// Failures.
const (
	Validation           Failure = "ValidationException"
	InvalidState         Failure = "InvalidStateException"
	InvalidCiphertext    Failure = "InvalidCiphertextException"
	InvalidKeyUsage      Failure = "InvalidKeyUsageException"
	AuthenticationFailed Failure = "AuthenticationFailedException"
	AccessDenied         Failure = "AccessDeniedException"
	KeyNotFound          Failure = "KeyNotFoundException"
	InvalidURIPath       Failure = "InvalidUriPathException"
	Throttling           Failure = "ThrottlingException"
	Unsupported          Failure = "UnsupportedOperationException"
	DependencyTimeout    Failure = "DependencyTimeoutException"
	Internal             Failure = "InternalException"

	// Malformed: the answer is not one of the protocol.
	Malformed Failure = "malformed answer"
	// Unreachable: there was no connection. NoTLS: it was not that of the host.
	Unreachable Failure = "unreachable"
	NoTLS       Failure = "no TLS"
	// Unavailable: the proxy answers, but none of its key managers can be used.
	Unavailable Failure = "no key manager"
	// Late: the answer did not come in time.
	Late Failure = "late"
)

// statuses are the HTTP statuses of the protocol's error names.
var statuses = map[Failure]int{
	Validation: http.StatusBadRequest, InvalidState: http.StatusBadRequest, InvalidCiphertext: http.StatusBadRequest,
	InvalidKeyUsage: http.StatusBadRequest, AuthenticationFailed: http.StatusUnauthorized, AccessDenied: http.StatusForbidden,
	KeyNotFound: http.StatusNotFound, InvalidURIPath: http.StatusNotFound, Throttling: http.StatusTooManyRequests,
	Unsupported: http.StatusNotImplemented, DependencyTimeout: http.StatusServiceUnavailable, Internal: http.StatusInternalServerError,
}

// An Error is a Failure with what is known of its cause, which is for the log: KMS does not pass the
// words of a proxy on to its callers.
type Error struct {
	Failure Failure
	Message string
	cause   error
}

// Error is the failure with the proxy's words.
func (e *Error) Error() string {
	s := "xks: " + string(e.Failure)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.cause }

// Fail makes an Error.
func Fail(f Failure, message string) *Error { return &Error{Failure: f, Message: message} }

// maxMessage bounds an error message in a body. Source: "Error response" of the specification.
const maxMessage = 512

// Status is the HTTP status of the failure as a proxy's answer.
func (e *Error) Status() int {
	if s := statuses[e.Failure]; s != 0 {
		return s
	}
	return http.StatusInternalServerError
}

// Body is the failure as a proxy's answer.
func (e *Error) Body() []byte {
	name := e.Failure
	if statuses[name] == 0 {
		name = Internal
	}
	body, err := json.Marshal(failureBody{Name: name, Message: printable(e.Message)})
	if err != nil { // of two texts without anything that is not ASCII
		return []byte(`{"errorName":"InternalException"}`)
	}
	return body
}

// printable is a text as an error message may have it.
func printable(s string) string {
	out := make([]byte, 0, min(len(s), maxMessage-1))
	for i := 0; i < len(s) && len(out) < maxMessage-1; i++ {
		if c := s[i]; c >= ' ' && c <= '~' {
			out = append(out, c)
		}
	}
	return string(out)
}

// failure reads the body of an answer that is an error.
func failure(status int, body []byte) *Error {
	var f failureBody
	if err := json.Unmarshal(body, &f); err != nil {
		return &Error{Failure: Malformed, cause: err}
	}
	if statuses[f.Name] == 0 || status < http.StatusBadRequest {
		return Fail(Malformed, "an error of no known name")
	}
	return Fail(f.Name, printable(f.Message))
}
