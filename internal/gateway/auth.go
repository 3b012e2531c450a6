package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// authenticate verifies the signature and returns who signed, and for which region: nobody, for the
// global endpoint's, if the operation is not signed.
func (x *exchange) authenticate(body []byte) (directory.Identity, string, error) {
	if x.op.Unsigned { // a signature proves nothing that the service asks for
		return directory.Identity{}, "us-east-1", nil
	}
	var signed sigv4.Result
	var err error
	if x.op.HTTP != nil && x.op.HTTP.UnsignedPayload {
		signed, err = x.cfg.Verifier.VerifyUnsigned(x.r, body, x.find)
	} else {
		signed, err = x.cfg.Verifier.Verify(x.r, body, x.find)
	}
	if err != nil {
		return directory.Identity{}, "", x.unauthenticated(err)
	}
	switch {
	case signed.Service != x.e.svc.Name:
		return directory.Identity{}, "", x.authFailure(sigv4.WrongScope,
			"Credential should be scoped to correct service: '"+x.e.svc.Name+"'.")
	case !validRegion(signed.Region):
		return directory.Identity{}, "", x.authFailure(sigv4.WrongScope, "Credential should be scoped to a valid region.")
	}
	identity := x.caller
	if x.cfg.Admit != nil {
		if identity, err = x.cfg.Admit(x.r.Context(), identity); err != nil {
			return directory.Identity{}, "", x.unauthenticated(err)
		}
	}
	switch x.e.svc.Name {
	case "iam", "organizations":
		// These are global and live in us-east-1; clients with one endpoint for everything may
		// sign them for their own region.
		return identity, "us-east-1", nil
	}
	return identity, signed.Region, nil
}

// lookup is the secret of an access key id, whose owner the exchange remembers.
func (x *exchange) lookup(ctx context.Context, accessKeyID, token string) (s secret.String, err error) {
	s, x.caller, err = x.cfg.Credentials.Lookup(ctx, accessKeyID, token)
	return s, err
}

// unauthenticated turns a failure of the verifier, or of the lookup inside it, into the answer.
func (x *exchange) unauthenticated(err error) error {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return x.authFailure(e.Kind, e.Message)
	}
	switch {
	case errors.Is(err, directory.ErrUnknownAccessKey):
		return x.authFailure(sigv4.UnknownKey, "The security token included in the request is invalid.")
	case errors.Is(err, directory.ErrInvalidToken):
		return x.authFailure(sigv4.InvalidToken, "The security token included in the request is invalid.")
	case errors.Is(err, directory.ErrExpiredToken):
		return x.authFailure(sigv4.ExpiredToken, "The security token included in the request is expired")
	}
	return err
}

func (x *exchange) authFailure(kind sigv4.Kind, message string) error {
	code, status := sigv4.Code(kind, x.e.svc.Protocol, x.e.svc.Name)
	if ok, dropped := x.noise.take(time.Now()); ok {
		x.cfg.Logger.WarnContext(x.r.Context(), "request not authenticated",
			append(x.attrs(), "code", code, "reason", message, "source", sourceIP(x.r), "unlogged", dropped)...)
	}
	return apierr.New(code, sigv4.Message(kind, x.e.svc.Protocol, message)).WithStatus(status)
}
