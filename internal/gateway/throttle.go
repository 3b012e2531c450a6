package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
)

// throttled is the error of a service for who asks too often: code and text are the service's, and say to
// clients that they may try again later.
//
// Sources: AWS KMS Developer Guide, "Request quotas"; Amazon EC2 Developer Guide, "Request throttling for the
// Amazon EC2 API"; Amazon EBS direct APIs, RequestThrottledException; AWS Organizations, TooManyRequestsException;
// the "Common Errors" pages of the others.
func throttled(service string) *apierr.Error {
	switch service {
	case "kms":
		return apierr.New("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
	case "ec2":
		return apierr.New("RequestLimitExceeded", "Request limit exceeded.")
	case "ebs":
		return apierr.New("RequestThrottledException", "The number of API requests has exceeded the maximum allowed API request throttling limit.").With("Reason", "ACCOUNT_THROTTLED")
	case "organizations":
		return apierr.New("TooManyRequestsException", "You have sent too many requests in too short a period of time. Wait and try again.")
	}
	return apierr.New("ThrottlingException", "Rate exceeded") // Throttling in the query protocol
}

// retryAfter tells clients how long to wait. Source: RFC 9110, section 10.2.3: whole seconds.
func (x *exchange) retryAfter(wait time.Duration) {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	x.w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
}

// enter takes a place among the requests that are served at once. Without a free one it fails, at a cost
// that is small beside that of a signature, and nothing is recorded: nobody has proved who asks.
func (x *exchange) enter() error {
	if n := x.running.Add(1); x.cfg.MaxConcurrent <= 0 || n <= int64(x.cfg.MaxConcurrent) {
		return nil
	}
	x.retryAfter(0)
	return throttled(x.e.svc.Name)
}

func (x *exchange) leave() { x.running.Add(-1) }

// An Outcome is what became of a request, for whoever counts and traces.
type Outcome struct {
	// Service and Operation are "" if the request could not be routed.
	Service, Operation string
	Account            string // who asked; "" if that was not proved
	Status             int    // HTTP
	Code               string // of the error; "" without one
	// Decided is whether policies were asked, and Denied whether that they refused is why it failed.
	Decided, Denied bool
	RequestID       string
}

// Watcher is told of each request when it begins, and of what became of it by the function that it
// returns. The request that it returns is the one that is served.
type Watcher func(*http.Request) (*http.Request, func(Outcome))
