package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/awsjson"
	"github.com/kagimori/kagimori/internal/wire/awsquery"
	"github.com/kagimori/kagimori/internal/wire/ec2query"
	"github.com/kagimori/kagimori/internal/wire/form"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

// A problem is something wrong with a request before its service is asked.
type problem uint8

const (
	unknownOperation problem = iota
	missingOperation
	tooLarge
	malformed
	forbidden
)

// codes of the problems: the JSON protocols, then both query protocols.
var codes = [...][2]string{
	unknownOperation: {"UnknownOperationException", "InvalidAction"},
	missingOperation: {"UnknownOperationException", "MissingAction"},
	tooLarge:         {"RequestEntityTooLargeException", "RequestEntityTooLarge"},
	malformed:        {"SerializationException", "MalformedQueryString"},
	forbidden:        {"AccessDeniedException", "AccessDenied"},
}

// problem is the error for p in the protocol of the request.
func (x *exchange) problem(p problem, message string) *apierr.Error {
	e := apierr.New(codes[p][1], message)
	protocol := x.protocol()
	if protocol.JSON() {
		e.Code = codes[p][0]
	}
	switch {
	case p == tooLarge:
		e.Status = http.StatusRequestEntityTooLarge
	case protocol == api.RESTJSON && p == unknownOperation:
		e.Status = http.StatusNotFound
	}
	return e
}

// protocol is that of the service, once routed, or what the request looks like.
func (x *exchange) protocol() api.Protocol {
	switch {
	case x.e != nil:
		return x.e.svc.Protocol
	case x.header("X-Amz-Target") != "" || strings.Contains(x.r.Header.Get("Content-Type"), "json"):
		return api.JSON11
	case x.header("Smithy-Protocol") != "":
		return api.JSON11
	}
	name := scopeOf(x.r).service
	if e := x.byName[name]; e != nil {
		return e.svc.Protocol
	}
	if name != "" && !slices.Contains(xmlServices[:], name) && !isRoot(x.r.URL.EscapedPath()) {
		return api.RESTJSON // as those of AWS's services have that have paths, such as EKS
	}
	return api.Query
}

// dialect is how to spell an error.
func (x *exchange) dialect() dialect {
	if x.e != nil {
		return x.e
	}
	return bare(x.protocol())
}

// bare is a protocol without a service.
type bare api.Protocol

// ContentType of errors.
func (b bare) ContentType() string {
	switch api.Protocol(b) {
	case api.JSON11:
		return awsjson.MediaType
	case api.RESTJSON:
		return restjson.MediaType
	}
	return "text/xml"
}

// EncodeError writes an error.
func (b bare) EncodeError(f wire.Fault, requestID string) []byte {
	switch api.Protocol(b) {
	case api.JSON11:
		return awsjson.EncodeError(f)
	case api.EC2:
		return ec2query.EncodeError(f, requestID)
	case api.RESTJSON:
		return restjson.EncodeError(f)
	}
	return awsquery.EncodeError("", f, requestID)
}

// refuse answers at once, for requests that no service is to see.
func (x *exchange) refuse(status int, message string) {
	e := x.problem(forbidden, message).WithStatus(status)
	x.fault(x.dialect(), unrouted(e, x.id))
}

// unrouted is the fault for an error that happened before a service was known.
func unrouted(err error, requestID string) wire.Fault {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return wire.Fault{
			Code: "InternalFailure", Message: "An internal error has occurred. Request id: " + requestID,
			Status: http.StatusInternalServerError, Server: true,
		}
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return wire.Fault{Code: e.Code, Message: e.Message, Status: status, Server: status >= 500}
}

// checkEnvelope refuses what no AWS protocol of ours sends.
func (x *exchange) checkEnvelope() error {
	if p := x.header("Smithy-Protocol"); p != "" {
		return x.problem(unknownOperation, "kagimori does not speak the protocol "+cut(p, 64)+".").WithStatus(http.StatusNotFound)
	}
	// Of a header that is there twice a proxy in front may read the other one than we do.
	for _, name := range [...]string{"X-Amz-Target", "Content-Type"} {
		if len(x.r.Header[name]) > 1 {
			return x.problem(malformed, "The request has more than one "+name+" header.")
		}
	}
	if x.header("X-Amz-Target") == "" {
		if x.e = x.restEndpoint(); x.e != nil {
			return nil // it has paths and methods of its own
		}
	}
	if !isRoot(x.r.URL.EscapedPath()) {
		if name := scopeOf(x.r).service; name != "" && x.byName[name] == nil {
			return x.problem(unknownOperation, "kagimori does not offer the service "+cut(name, 64)+".").WithStatus(http.StatusNotFound)
		}
		return x.problem(unknownOperation, "kagimori has nothing at this path.").WithStatus(http.StatusNotFound)
	}
	if x.r.Method != http.MethodPost && x.r.Method != http.MethodGet {
		x.w.Header().Set("Allow", "GET, POST")
		return x.problem(unknownOperation, "The method "+cut(x.r.Method, 16)+" is not allowed.").WithStatus(http.StatusMethodNotAllowed)
	}
	return nil
}

// xmlServices are the services of AWS that have paths and answer in XML.
var xmlServices = [...]string{"s3", "s3express", "s3-object-lambda", "s3-outposts", "cloudfront", "route53"}

// isRoot tells whether a path is that of all protocols but the REST ones: one slash, or several, as
// clients send that join an endpoint with a slash at its end and a path (the Vault server does when
// it hands a login's GetCallerIdentity on). A signature is of the normalized path, one slash
// ("Create a signed AWS API request", CanonicalUri).
func isRoot(path string) bool { return path != "" && strings.Trim(path, "/") == "" }

// header is the value of a header, whose name is in canonical form; "" if there is none.
func (x *exchange) header(name string) string {
	if v := x.r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// restEndpoint is the REST service that a request is for, or nil: that of its credential scope or,
// of a request without one, the service that has its method and path.
func (x *exchange) restEndpoint() *endpoint {
	name := scopeOf(x.r).service
	for _, e := range x.rest {
		if e.svc.Name == name {
			return e
		}
		if name == "" && !isRoot(x.r.URL.EscapedPath()) {
			if op, _ := e.rest.Route(x.r.Method, x.r.URL.EscapedPath()); op != nil {
				return e
			}
		}
	}
	return nil
}

// routeREST finds the operation of a REST service.
func (x *exchange) routeREST() error {
	op, labels := x.e.rest.Route(x.r.Method, x.r.URL.EscapedPath())
	if op == nil {
		return x.problem(unknownOperation, "The service has no operation "+cut(x.r.Method, 16)+" "+cut(x.r.URL.Path, 128)+".")
	}
	x.labels = labels
	return x.operation(op.Name)
}

// route finds the service and the operation, and returns what the codec is to decode.
func (x *exchange) route(body []byte) ([]byte, error) {
	if x.e != nil {
		return body, x.routeREST()
	}
	if target := x.header("X-Amz-Target"); target != "" {
		return body, x.routeTarget(target)
	}
	media := x.mediaType()
	params := []byte(sigv4.OperationQuery(x.r.URL.RawQuery))
	switch {
	case len(body) == 0:
	case media == "application/x-www-form-urlencoded":
		if len(params) > 0 {
			params = append(params, '&')
		}
		params = append(params, body...)
	case media == awsjson.MediaType:
		return nil, x.problem(missingOperation, "The request has no X-Amz-Target header.")
	default:
		return nil, x.problem(malformed, "kagimori does not take a body of this content type.")
	}
	return params, x.routeAction(params)
}

// mediaType is the content type without its parameters, which change nothing for us.
func (x *exchange) mediaType() string {
	t, _, _ := strings.Cut(x.header("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func (x *exchange) routeTarget(target string) error {
	prefix, name := target, ""
	if i := strings.LastIndexByte(target, '.'); i >= 0 { // a prefix may have dots of its own
		prefix, name = target[:i], target[i+1:]
	}
	e := x.byTarget[prefix]
	if e == nil {
		return x.problem(unknownOperation, "kagimori does not offer the service of "+cut(target, 128)+".")
	}
	x.e = e
	if x.r.Method != http.MethodPost {
		x.w.Header().Set("Allow", "POST")
		return x.problem(unknownOperation, "The method "+cut(x.r.Method, 16)+" is not allowed.").WithStatus(http.StatusMethodNotAllowed)
	}
	if x.mediaType() != awsjson.MediaType {
		return x.problem(unknownOperation, "The content type of a request must be "+awsjson.MediaType+".")
	}
	return x.operation(name)
}

func (x *exchange) routeAction(params []byte) error {
	action, ok := form.Lookup(params, "Action")
	version, hasVersion := form.Lookup(params, "Version")
	switch {
	case !ok || action == "":
		x.e = x.byName[scopeOf(x.r).service]
		return x.problem(missingOperation, "The request must contain the parameter Action.")
	case hasVersion:
		if x.e = x.byVersion[version]; x.e == nil {
			x.e = x.earlier(version)
		}
	default:
		// AWS assumes a service's own version where the request names none.
		x.e = x.byName[scopeOf(x.r).service]
	}
	if x.e == nil || x.e.svc.Protocol.JSON() {
		x.e = nil
		if own := x.byName[scopeOf(x.r).service]; own != nil && own.svc.Protocol == api.Query {
			return x.problem(unknownOperation, noOperation(action, version))
		}
		return x.problem(unknownOperation, "kagimori does not offer "+cut(action, 128)+" of version "+cut(version, 32)+".")
	}
	return x.operation(action)
}

// earlier is EC2, if a request to it is in an earlier version of its API, which old clients speak and AWS still answers; it is
// answered in the only version that there is here. Source: EC2 API Reference, "Common query parameters" (Version).
func (x *exchange) earlier(version string) *endpoint {
	e := x.byName[scopeOf(x.r).service]
	if e == nil || e.svc.Protocol != api.EC2 || version >= e.svc.Version {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil {
		return nil
	}
	return e
}

// noOperation is what services of the query protocol, other than EC2, say of an operation or a version that there is none of,
// as reported by users.
func noOperation(name, version string) string {
	return "Could not find operation " + cut(name, 128) + " for version " + cut(version, 32)
}

// operation finds the operation; the service is known.
func (x *exchange) operation(name string) error {
	svc := x.e.svc
	op := svc.Operations[name]
	if op != nil && x.e.ops[name] != nil {
		x.op = op
		return nil
	}
	switch {
	case op != nil || svc.Known[name]:
		return x.problem(unknownOperation, "kagimori does not implement "+name+" yet.")
	case svc.Protocol.JSON():
		return x.problem(unknownOperation, "The operation "+cut(name, 128)+" is not known.")
	case svc.Protocol == api.Query:
		return x.problem(unknownOperation, noOperation(name, svc.Version))
	}
	return x.problem(unknownOperation, "The action "+cut(name, 128)+" is not valid for this web service.")
}
