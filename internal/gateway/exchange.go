package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire"
	"github.com/kagimori/kagimori/internal/wire/restjson"
)

// exchange is one request on its way. Exchanges are used again.
type exchange struct {
	*gateway
	w  http.ResponseWriter
	r  *http.Request
	id string
	e  *endpoint // nil until routed
	op *api.Operation
	// labels are the parts of the path that a REST service takes as members.
	labels map[string]string
	done   bool // the answer has begun
	seen   Outcome
	call   guard.Call
	caller directory.Identity // who the credentials are of, whether that is proved or not
	find   sigv4.Lookup       // lookup
	// in and out hold the body of the request and that of its answer. They are zeroed before they are used
	// again: either may hold a plaintext.
	in, out []byte
}

// keepBuffer is the largest buffer that is used again, in bytes.
const keepBuffer = 64 << 10

// release gives an exchange to the next request.
func (x *exchange) release() {
	clear(x.in)
	clear(x.out)
	if cap(x.in) <= keepBuffer && cap(x.out) <= keepBuffer {
		g := x.gateway
		*x = exchange{in: x.in[:0], out: x.out[:0], find: x.find}
		g.exchanges.Put(x)
	}
}

// ServeHTTP answers one request.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, ok := g.exchanges.Get().(*exchange)
	if !ok {
		x = new(exchange)
		x.find = x.lookup
	}
	x.gateway, x.w, x.r, x.id = g, w, r, guard.NewRequestID()
	defer x.release()
	if g.cfg.Watch != nil {
		var tell func(Outcome)
		x.r, tell = g.cfg.Watch(r)
		defer func() { tell(x.outcome()) }()
	}
	defer x.recover()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

func (x *exchange) serve() error {
	if err := x.checkEnvelope(); err != nil {
		return err
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	params, err := x.route(body)
	if err != nil {
		return err
	}
	defer x.leave()
	if err := x.enter(); err != nil {
		return err
	}
	identity, region, err := x.authenticate(body)
	if err != nil {
		return err
	}
	x.seen.Account = identity.Principal.Account
	h := x.e.ops[x.op.Name]
	in, err := x.decode(params)
	if err != nil {
		return err
	}
	if err := x.e.Table().Validate(in); err != nil { // recorded like what a service refuses
		h = func(context.Context, *guard.Call, any) (any, error) { return nil, err }
	}
	call := &x.call
	*call = guard.Call{
		ID: x.id, Service: x.e.svc.Name, Operation: x.op.Name, Region: region,
		Caller: guard.Caller{
			Identity: identity, SourceIP: sourceIP(x.r), UserAgent: cut(x.r.UserAgent(), 1024), Secure: x.r.TLS != nil,
		},
		Time: x.cfg.Clock(), ReadOnly: x.op.ReadOnly, Input: in,
	}
	if x.cfg.Limit != nil {
		if wait, ok := x.cfg.Limit(call); !ok {
			x.retryAfter(wait)
			h = func(context.Context, *guard.Call, any) (any, error) { return nil, throttled(x.e.svc.Name) }
		}
	}
	out, err := x.cfg.Invoke(x.r.Context(), call, in, h)
	x.seen.Decided = call.Decided()
	if err != nil {
		return err
	}
	return x.answer(out)
}

// decode reads the input of a request that has been routed.
func (x *exchange) decode(params []byte) (any, error) {
	if x.e.rest == nil {
		return x.e.body.DecodeRequest(x.op, params)
	}
	return x.e.rest.DecodeRequest(x.op, x.labels, restjson.Request{
		Method: x.r.Method, Path: x.r.URL.EscapedPath(), Query: sigv4.OperationQuery(x.r.URL.RawQuery), Header: x.r.Header, Body: params,
	})
}

// answer writes what a handler returned.
func (x *exchange) answer(out any) error {
	r := restjson.Response{Status: http.StatusOK}
	var err error
	switch {
	case x.e.rest != nil:
		r, err = x.e.rest.EncodeResponse(x.op, out)
	case x.e.into != nil:
		x.out, err = x.e.into.AppendResponse(x.out, x.op, out)
		r.Body = x.out
	default:
		r.Body, err = x.e.body.EncodeResponse(x.op, out, x.id)
	}
	if err != nil {
		return err
	}
	maps.Copy(x.w.Header(), r.Header)
	contentType := x.e.ContentType()
	if t := r.Header.Get("Content-Type"); t != "" {
		contentType = t
	}
	x.write(r.Status, contentType, r.Body)
	clear(r.Body)
	return nil
}

func (x *exchange) readBody() ([]byte, error) {
	n := x.r.ContentLength
	if n > x.cfg.MaxBody {
		return nil, x.problem(tooLarge, "The request is larger than "+strconv.FormatInt(x.cfg.MaxBody, 10)+" bytes.")
	}
	if n == 0 {
		return nil, nil
	}
	from := io.Reader(x.r.Body)
	if n < 0 { // else it is bounded by what it says it is
		from = http.MaxBytesReader(x.w, x.r.Body, x.cfg.MaxBody)
	}
	var err error
	x.in, err = read(x.in, from, n)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, x.problem(tooLarge, "The request is larger than "+strconv.FormatInt(x.cfg.MaxBody, 10)+" bytes.")
	}
	if err != nil {
		return nil, x.problem(malformed, "The request's body could not be read.")
	}
	return x.in, nil
}

// firstRead bounds what is allocated for a body before any of it came.
const firstRead = 16 << 10

// usualBody is the least that is allocated: most bodies fit.
const usualBody = 1 << 10

// read reads all of a body, of n bytes unless n is negative, into an empty buffer or a larger one.
// Memory follows what comes, not what was announced, and no part of the body, which may hold a
// plaintext, stays in a smaller buffer. What was read comes with an error too.
func read(body []byte, r io.Reader, n int64) ([]byte, error) {
	limit := n
	if n < 0 {
		limit = math.MaxInt64
	}
	if first := min(limit, firstRead); int64(cap(body)) < first {
		body = make([]byte, 0, max(first, usualBody))
	}
	for int64(len(body)) < limit {
		if len(body) == cap(body) {
			larger := make([]byte, len(body), min(limit, int64(2*cap(body))))
			copy(larger, body)
			clear(body)
			body = larger
		}
		m, err := r.Read(body[len(body):min(int64(cap(body)), limit)])
		body = body[:len(body)+m]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return body, err
		}
	}
	if n > int64(len(body)) {
		return body, io.ErrUnexpectedEOF
	}
	return body, nil
}

// fail answers an error and logs what the client is not told.
func (x *exchange) fail(err error) {
	d, f := x.dialect(), wire.Fault{}
	if x.e != nil {
		f = x.e.Table().Fault(err, x.id)
	} else {
		f = unrouted(err, x.id)
	}
	if d, ok := guard.Denied(err); ok {
		x.seen.Denied = true
		if f.Message == d.Message {
			f.Message += leads(x.id)
		}
	}
	switch {
	case errors.Is(err, context.Canceled) && x.r.Context().Err() != nil: // nobody failed, and nobody reads the answer
		f.Code = clientGone
		x.cfg.Logger.InfoContext(x.r.Context(), "the client has gone", x.attrs()...)
	case f.Status == http.StatusServiceUnavailable: // a state of the server, which has its own line: every request meets it
		if ok, dropped := x.noise.take(time.Now()); ok {
			x.cfg.Logger.WarnContext(x.r.Context(), "request refused", append(x.attrs(), "code", f.Code, "error", detail(err), "dropped", dropped)...)
		}
	case f.Server:
		x.cfg.Logger.ErrorContext(x.r.Context(), "request failed", append(x.attrs(), "code", f.Code, "error", detail(err))...)
	}
	x.fault(d, f)
}

// clientGone is what is counted of a request whose client went away before the answer.
const clientGone = "ClientGone"

// leads is the end of a refusal's text, which says where to find out more; EC2 has a message of its
// own for that. AWS's text leads to its console besides, which does not know our ids.
//
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func leads(request string) string {
	id := guard.AuthorizationID(request)
	return ". Run kagimori explain " + id + " for complete details, or call the GetRequestAuthorizationDetails API with the following authorization id: " + id
}

func (x *exchange) fault(d dialect, f wire.Fault) {
	if x.protocol() == api.RESTJSON {
		x.w.Header()[restjson.ErrorType] = []string{f.Code}
	}
	x.seen.Code = f.Code
	x.write(f.Status, d.ContentType(), d.EncodeError(f, x.id))
}

// outcome is what became of the request.
func (x *exchange) outcome() Outcome {
	o := x.seen
	o.RequestID = x.id
	if x.op != nil {
		o.Service, o.Operation = x.e.svc.Name, x.op.Name
	}
	return o
}

// detail is an error with its cause.
func detail(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if cause := e.Unwrap(); cause != nil {
			return e.Error() + ": " + cause.Error()
		}
	}
	return err.Error()
}

func (x *exchange) attrs() []any {
	a := []any{"request", x.id}
	if x.op != nil {
		a = append(a, "service", x.e.svc.Name, "operation", x.op.Name)
	}
	return a
}

func (x *exchange) write(status int, contentType string, body []byte) {
	x.done, x.seen.Status = true, status
	if w, ok := x.w.(answerer); ok && x.r.Method != http.MethodHead && len(x.w.Header()) == 0 {
		lines := [...][2]string{{"X-Amzn-Requestid", x.id}, {"Content-Type", contentType}, {"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}}
		_, err := w.WriteAnswer(status, lines, body)
		x.delivered(err)
		return
	}
	h, v := x.w.Header(), &[...]string{x.id, contentType, strconv.Itoa(len(body)), "no-store", "nosniff"}
	h["X-Amzn-Requestid"] = v[0:1:1]
	h["Content-Type"] = v[1:2:2]
	h["Content-Length"] = v[2:3:3]
	h["Cache-Control"] = v[3:4:4]
	h["X-Content-Type-Options"] = v[4:5:5]
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead {
		return
	}
	_, err := x.w.Write(body)
	x.delivered(err)
}

// answerer is a [http.ResponseWriter] that takes an answer in one piece, as package lane has it.
type answerer interface {
	WriteAnswer(status int, lines [4][2]string, body []byte) (int, error)
}

// delivered notes that an answer could not be written.
func (x *exchange) delivered(err error) {
	if err != nil {
		x.cfg.Logger.DebugContext(x.r.Context(), "answer not delivered", append(x.attrs(), "error", err)...)
	}
}

// recover turns a panic into a 500. The value that was panicked with may hold anything, so only
// the runtime's own errors are logged with their text.
func (x *exchange) recover() {
	v := recover()
	switch {
	case v == nil:
		return
	case v == http.ErrAbortHandler:
		panic(v)
	}
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	x.cfg.Logger.ErrorContext(x.r.Context(), "panic", append(x.attrs(), "panic", what, "stack", string(debug.Stack()))...)
	if x.done {
		panic(http.ErrAbortHandler) // half an answer is out: close the connection
	}
	x.fail(errPanic)
}

var errPanic = errors.New("gateway: a handler panicked")
