package wire

import (
	"errors"
	"net/http"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
)

// A Fault is an error as a client sees it: everything resolved, nothing of the inside left.
type Fault struct {
	Code    string // on the wire
	Message string
	Status  int // HTTP
	Server  bool
	Details map[string]any // further members of the error, which JSON carries
}

type code struct {
	wire   string
	status int
	server bool
}

// codesOf indexes the model's errors by shape name and by wire code: services may use either.
func codesOf(svc *api.Service) map[string]code {
	out := make(map[string]code, 2*len(svc.Errors))
	for shape, info := range svc.Errors {
		c := code{wire: shape, status: info.Status, server: info.Server}
		if info.Code != "" {
			c.wire = info.Code
		}
		if svc.Protocol == api.JSON11 && !c.server {
			// Whatever the model says, KMS answers 400 to every fault of the client.
			c.status = 0
		}
		out[c.wire] = c
	}
	for shape := range svc.Errors {
		if _, ok := out[shape]; !ok {
			out[shape] = out[svc.Errors[shape].Code]
		}
	}
	return out
}

// jsonCodes are the codes that the JSON protocols share.
var jsonCodes = map[string]string{
	"ValidationError": "ValidationException", "AccessDenied": "AccessDeniedException",
	"UnauthorizedOperation": "AccessDeniedException", "Throttling": "ThrottlingException",
}

// renamed are codes that every service shares, as each protocol spells them.
var renamed = map[api.Protocol]map[string]string{
	api.JSON11: jsonCodes, api.RESTJSON: jsonCodes,
	api.Query: {
		"ValidationException": "ValidationError", "AccessDeniedException": "AccessDenied",
		"UnauthorizedOperation": "AccessDenied", "ThrottlingException": "Throttling",
	},
	api.EC2: {
		"ValidationException": "InvalidParameterValue", "ValidationError": "InvalidParameterValue",
		"AccessDeniedException": "UnauthorizedOperation", "AccessDenied": "UnauthorizedOperation",
		"ThrottlingException": "RequestLimitExceeded", "Throttling": "RequestLimitExceeded",
		"InternalFailure": "InternalError",
	},
}

// statuses of codes outside the models, in the query protocols and in REST ones. Others are 400.
// Source for REST: the "Common Errors" pages, such as that of the IAM Access Analyzer API Reference.
var statuses = map[string]int{
	"AccessDeniedException":               http.StatusForbidden,
	"ExpiredTokenException":               http.StatusForbidden,
	"InvalidSignatureException":           http.StatusForbidden,
	"MissingAuthenticationTokenException": http.StatusForbidden,
	"RequestEntityTooLargeException":      http.StatusRequestEntityTooLarge,
	"ResourceNotFoundException":           http.StatusNotFound,
	"ServiceUnavailableException":         http.StatusServiceUnavailable,
	"ThrottlingException":                 http.StatusTooManyRequests,
	"UnknownOperationException":           http.StatusNotFound,
	"UnrecognizedClientException":         http.StatusForbidden,

	"AccessDenied":               http.StatusForbidden,
	"AuthFailure":                http.StatusUnauthorized,
	"ExpiredToken":               http.StatusForbidden,
	"InternalError":              http.StatusInternalServerError,
	"InternalFailure":            http.StatusInternalServerError,
	"InvalidClientTokenId":       http.StatusForbidden,
	"MissingAuthenticationToken": http.StatusForbidden,
	"OptInRequired":              http.StatusForbidden,
	"RequestEntityTooLarge":      http.StatusRequestEntityTooLarge,
	"RequestLimitExceeded":       http.StatusServiceUnavailable,
	"ServiceUnavailable":         http.StatusServiceUnavailable,
	"SignatureDoesNotMatch":      http.StatusForbidden,
	"Unavailable":                http.StatusServiceUnavailable,
	"UnauthorizedOperation":      http.StatusForbidden,
}

// Fault resolves an error. An *apierr.Error in the chain gives code and message; its code may be
// the model's shape name or the wire code. Any other error is an internal failure whose text is
// not shown: the client gets the request id to ask with.
func (t *Table) Fault(err error, requestID string) Fault {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return Fault{
			Code: t.internalCode(), Status: http.StatusInternalServerError, Server: true,
			Message: "An internal error has occurred. Request id: " + requestID,
		}
	}
	f := Fault{Code: e.Code, Message: e.Message, Status: e.Status, Server: e.Server, Details: e.Details}
	known, modelled := t.codes[e.Code]
	if !modelled {
		if to, ok := renamed[t.svc.Protocol][e.Code]; ok {
			f.Code = to
			known, modelled = t.codes[to]
		}
	}
	if modelled {
		f.Code = known.wire
		f.Server = f.Server || known.server
		if f.Status == 0 {
			f.Status = known.status
		}
	}
	if f.Status == 0 && t.svc.Protocol != api.JSON11 {
		f.Status = statuses[f.Code]
	}
	switch {
	case f.Status == 0 && f.Server:
		f.Status = http.StatusInternalServerError
	case f.Status == 0:
		f.Status = http.StatusBadRequest
	}
	f.Server = f.Status >= 500
	return f
}

func (t *Table) internalCode() string {
	switch {
	case t.svc.Name == "kms":
		return "KMSInternalException"
	case t.svc.Protocol == api.EC2:
		return "InternalError"
	case t.svc.Errors["InternalServerException"].Server:
		return "InternalServerException"
	}
	return "InternalFailure"
}
