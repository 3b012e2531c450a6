package sigv4

import (
	"net/http"

	"github.com/kagimori/kagimori/internal/api"
)

type answer struct {
	code   string
	status int
}

// AWS's codes. KMS, like other services of the JSON protocol, answers 400 to all of them.
// Sources: KMS API Reference, "Common Error Types"; IAM API Reference, "Common Errors"; EC2 API
// Reference, "Error codes for the Amazon EC2 API".
var (
	jsonAnswers = [...]answer{
		MissingToken: {"MissingAuthenticationTokenException", http.StatusBadRequest},
		Incomplete:   {"IncompleteSignatureException", http.StatusBadRequest},
		UnknownKey:   {"UnrecognizedClientException", http.StatusBadRequest},
		Expired:      {"InvalidSignatureException", http.StatusBadRequest},
		ExpiredToken: {"ExpiredTokenException", http.StatusBadRequest},
		InvalidToken: {"UnrecognizedClientException", http.StatusBadRequest},
		Mismatch:     {"InvalidSignatureException", http.StatusBadRequest},
		WrongScope:   {"InvalidSignatureException", http.StatusBadRequest},
	}
	// Source: IAM Access Analyzer API Reference and EBS direct APIs, "Common Errors".
	restAnswers = [...]answer{
		MissingToken: {"MissingAuthenticationTokenException", http.StatusForbidden},
		Incomplete:   {"IncompleteSignatureException", http.StatusForbidden},
		UnknownKey:   {"UnrecognizedClientException", http.StatusForbidden},
		Expired:      {"InvalidSignatureException", http.StatusForbidden},
		ExpiredToken: {"ExpiredTokenException", http.StatusForbidden},
		InvalidToken: {"UnrecognizedClientException", http.StatusForbidden},
		Mismatch:     {"InvalidSignatureException", http.StatusForbidden},
		WrongScope:   {"InvalidSignatureException", http.StatusForbidden},
	}
	queryAnswers = [...]answer{
		MissingToken: {"MissingAuthenticationToken", http.StatusForbidden},
		Incomplete:   {"IncompleteSignature", http.StatusBadRequest},
		UnknownKey:   {"InvalidClientTokenId", http.StatusForbidden},
		Expired:      {"SignatureDoesNotMatch", http.StatusForbidden},
		ExpiredToken: {"ExpiredToken", http.StatusForbidden},
		InvalidToken: {"InvalidClientTokenId", http.StatusForbidden},
		Mismatch:     {"SignatureDoesNotMatch", http.StatusForbidden},
		WrongScope:   {"SignatureDoesNotMatch", http.StatusForbidden},
	}
	ec2Answers = [...]answer{
		MissingToken: {"MissingAuthenticationToken", http.StatusForbidden},
		Incomplete:   {"IncompleteSignature", http.StatusBadRequest},
		UnknownKey:   {"AuthFailure", http.StatusUnauthorized},
		Expired:      {"RequestExpired", http.StatusBadRequest},
		ExpiredToken: {"RequestExpired", http.StatusBadRequest},
		InvalidToken: {"AuthFailure", http.StatusUnauthorized},
		Mismatch:     {"AuthFailure", http.StatusUnauthorized},
		WrongScope:   {"AuthFailure", http.StatusUnauthorized},
	}
)

// Code is the error code and HTTP status with which a service answers. The service's name makes no
// difference yet: the services of one protocol agree. An unknown kind or protocol is answered like
// a mismatch of the query protocol, never as a success.
func Code(kind Kind, protocol api.Protocol, service string) (code string, status int) {
	table := queryAnswers[:]
	switch protocol {
	case api.JSON11:
		table = jsonAnswers[:]
	case api.EC2:
		table = ec2Answers[:]
	case api.RESTJSON:
		table = restAnswers[:]
	}
	if kind == 0 || int(kind) >= len(table) {
		kind = Mismatch
	}
	return table[kind].code, table[kind].status
}

// Message is the text with which a service answers: AWS's own for the protocol where it is fixed,
// else detail, the message of the [Error].
func Message(kind Kind, protocol api.Protocol, detail string) string {
	switch code, _ := Code(kind, protocol, ""); code {
	case "MissingAuthenticationToken":
		return "Request is missing Authentication Token"
	case "MissingAuthenticationTokenException":
		return "Missing Authentication Token"
	case "AuthFailure":
		return "AWS was not able to validate the provided access credentials"
	case "RequestExpired":
		return "Request has expired."
	}
	return detail
}
