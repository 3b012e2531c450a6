// Package apierr is the error that an API client sees.
//
// Services create an [Error]; only the wire codecs turn it into JSON or XML. Any other error
// that reaches the edge becomes an internal failure whose text stays in the server's log.
package apierr

import (
	"errors"
	"fmt"
)

// An Error is an AWS error code with its message. The HTTP status follows from the service's
// error table and protocol unless Status is set.
type Error struct {
	Code    string
	Message string
	Server  bool // the server's fault; clients may retry
	Status  int  // HTTP status, or 0 for the one that the protocol gives the code
	// Details are further members that the model gives the error, by name. The JSON protocols carry
	// them: of awsJson, texts.
	Details map[string]any
	cause   error
}

// Error prints code and message, never the cause.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause, for the log.
func (e *Error) Unwrap() error { return e.cause }

// New makes a client error.
func New(code, message string) *Error { return &Error{Code: code, Message: message} }

// Newf makes a client error with a formatted message.
func Newf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus sets the HTTP status and returns e.
func (e *Error) WithStatus(status int) *Error { e.Status = status; return e }

// With adds a member that the model gives the error ("Reason"), and returns e.
func (e *Error) With(name string, value any) *Error {
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	e.Details[name] = value
	return e
}

// Because records a cause for the log and returns e.
func (e *Error) Because(cause error) *Error { e.cause = cause; return e }

// Code is the code of the [Error] in err's chain, or "".
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Validation is a ValidationException (awsJson) or ValidationError (query) depending on the
// service's protocol; the wire layer renames it.
func Validation(format string, args ...any) *Error {
	return Newf("ValidationException", format, args...)
}
