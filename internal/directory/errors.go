package directory

import "errors"

// Failures of a credential lookup. The gateway answers each with its own code; every other error
// of a lookup is the server's fault.
var (
	// ErrUnknownAccessKey: no such access key id, or it is inactive, or its principal is gone.
	ErrUnknownAccessKey = errors.New("directory: unknown access key id")
	// ErrInvalidToken: the session token is not one of ours, was altered, belongs to another
	// access key id, or its role was replaced or its sessions revoked.
	ErrInvalidToken = errors.New("directory: invalid session token")
	// ErrExpiredToken: the session was valid and has ended.
	ErrExpiredToken = errors.New("directory: expired session token")
)
