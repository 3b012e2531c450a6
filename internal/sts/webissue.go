package sts

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/sts/webtoken"
)

// webDuration is how long a web token is good if the request does not say.
// Source: STS API Reference, GetWebIdentityToken.
const webDuration = 300

// maxPayload bounds the claims of a token; AWS does not say how large they may be.
const maxPayload = 16 << 10

// awsClaims is the claim that has what AWS says of the caller. Source: IAM User Guide, "Understanding
// token claims" (of outbound identity federation).
const awsClaims = "https://sts.amazonaws.com/"

// Outbound is the side of IAM that knows which accounts issue web tokens.
type Outbound struct {
	// Issuer is the URL of an account's issuer; "" if it has none or it is disabled.
	Issuer func(tx store.Tx, account string) (string, error)
	// Keys seals the signing keys.
	Keys directory.Box
}

// A webKey is a signing key at rest.
type webKey struct {
	Algorithm string    `json:"algorithm"`
	Sealed    []byte    `json:"sealed"`
	Created   time.Time `json:"created"`
}

// webKeys has a key of each algorithm.
var webKeys = store.Table[webKey]{Bucket: "sts/webkey", Version: 1}

// A webIssuer holds the keys that were opened.
type webIssuer struct {
	Outbound
	mu   sync.Mutex
	keys []*webtoken.Key
}

// GetWebIdentityToken gives the caller a web token that tells others who the caller is.
// Source: STS API Reference, GetWebIdentityToken.
func (s *Service) GetWebIdentityToken(ctx context.Context, c *guard.Call, in *stsapi.GetWebIdentityTokenRequest) (*stsapi.GetWebIdentityTokenResponse, error) {
	algorithm := api.Val(in.SigningAlgorithm)
	if !slices.Contains(webtoken.Algorithms(), algorithm) {
		return nil, apierr.Newf("ValidationError", "Invalid signing algorithm: %s. Supported signing algorithms are: ES384, RS256", algorithm)
	}
	w := &wish{}
	if err := w.setTags(&guard.Call{}, &stsapi.AssumeRoleRequest{Tags: in.Tags}); err != nil {
		return nil, err
	}
	seconds := int32(webDuration)
	if in.DurationSeconds != nil {
		seconds = *in.DurationSeconds
	}
	w.setTagContext()
	w.context.SetList("sts:identitytokenaudience", in.Audience)
	w.context.Set("sts:signingalgorithm", algorithm)
	w.context.Set("sts:durationseconds", strconv.Itoa(int(seconds)))
	var (
		issuer string
		claims map[string]any
	)
	now := s.wall().UTC().Truncate(time.Second)
	until := now.Add(time.Duration(seconds) * time.Second)
	err := s.g.View(ctx, c, func(tx store.Tx) (err error) {
		part := authz.Part{Action: "sts:GetWebIdentityToken", Resource: authz.Resource{ARN: "*", Account: c.Account()}, Context: w.context}
		parts := []authz.Part{part}
		if len(w.tags) > 0 {
			part.Action = "sts:TagGetWebIdentityToken"
			parts = append(parts, part)
		}
		if _, err := s.g.Authorize(tx, c, guard.Check{Parts: parts}); err != nil {
			return err
		}
		if s.outbound.Issuer != nil {
			if issuer, err = s.outbound.Issuer(tx, c.Account()); err != nil {
				return err
			}
		}
		if issuer == "" {
			return apierr.New("OutboundWebIdentityFederationDisabledException", "The outbound web identity federation feature is not enabled for this account. "+
				"To use this feature, you must first enable it through the Amazon Web Services Management Console or API.").WithStatus(403)
		}
		if sess := c.Caller.Session; sess != nil && !sess.ExpiresAt.IsZero() && until.After(sess.ExpiresAt) {
			return apierr.New("SessionDurationEscalationException", "The requested token duration would extend the session beyond its original expiration time. "+
				"You cannot use this operation to extend the lifetime of a session beyond what was granted when the session was originally created.").WithStatus(403)
		}
		claims, err = s.callerClaims(tx, c, w.tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	subject := c.Caller.Principal.ARN
	if c.Caller.Principal.Type == authz.RoleSession {
		subject = c.Caller.Principal.RoleARN
	}
	token := map[string]any{
		"iss": issuer, "sub": subject, "aud": in.Audience, "iat": now.Unix(), "exp": until.Unix(), "jti": strings.ToLower(rand.Text()), awsClaims: claims,
	}
	if len(in.Audience) == 1 {
		token["aud"] = in.Audience[0]
	}
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	key := keys[slices.IndexFunc(keys, func(k *webtoken.Key) bool { return k.Algorithm == algorithm })]
	signed, err := key.Sign(token)
	if err != nil {
		return nil, err
	}
	if len(signed) > maxPayload {
		return nil, apierr.New("JWTPayloadSizeExceededException", "The requested token payload size exceeds the maximum allowed size. "+
			"Reduce the number of request tags included in the GetWebIdentityToken API call to reduce the token payload size.")
	}
	out := &stsapi.GetWebIdentityTokenResponse{WebIdentityToken: new(secret.String(signed)), Expiration: &until}
	c.Respond(out)
	return out, nil
}

// callerClaims is what a token says of the caller beside the subject.
func (s *Service) callerClaims(tx store.Tx, c *guard.Call, tags map[string]string) (map[string]any, error) {
	p := &c.Caller.Principal
	out := map[string]any{"aws_account": p.Account, "source_region": c.Region, "principal_id": p.ARN}
	place, err := s.dir.Place(tx, p.Account)
	if err != nil {
		return nil, err
	}
	if place != nil && place.Organization != "" {
		out["org_id"] = place.Organization
		if len(place.Paths) > 0 {
			out["ou_path"] = place.Paths[len(place.Paths)-1]
		}
	}
	if len(p.Tags) > 0 {
		out["principal_tags"] = p.Tags
	}
	if len(tags) > 0 {
		out["request_tags"] = tags
	}
	if sess := c.Caller.Session; sess != nil {
		for name, v := range map[string]string{
			"source_identity": sess.SourceIdentity, "federated_provider": sess.Provider, "ec2_source_instance_arn": sess.Instance,
		} {
			if v != "" {
				out[name] = v
			}
		}
		if !sess.ExpiresAt.IsZero() {
			out["original_session_exp"] = sess.ExpiresAt.UTC().Format(time.RFC3339)
		}
	}
	return out, nil
}

// KeySet is what tokens are verified by: the public halves of the signing keys.
func (s *Service) KeySet(ctx context.Context) ([]byte, error) {
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	return webtoken.Set(keys)
}

// signingKeys are the server's keys, made when they are needed first. All accounts' issuers share
// them: a token names its issuer, which the signature covers.
func (s *Service) signingKeys(ctx context.Context) ([]*webtoken.Key, error) {
	s.outbound.mu.Lock()
	defer s.outbound.mu.Unlock()
	if s.outbound.keys != nil {
		return s.outbound.keys, nil
	}
	var keys []*webtoken.Key
	for _, algorithm := range webtoken.Algorithms() {
		k, err := s.signingKey(ctx, algorithm)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	s.outbound.keys = keys
	return keys, nil
}

func (s *Service) signingKey(ctx context.Context, algorithm string) (*webtoken.Key, error) {
	aad := []byte("web token key " + algorithm)
	var (
		rec webKey
		ok  bool
	)
	read := func(tx store.Tx) (err error) {
		rec, ok, err = webKeys.Get(tx, algorithm)
		return err
	}
	if err := s.g.Read(ctx, read); err != nil {
		return nil, err
	}
	if !ok {
		_, private, err := webtoken.Generate(algorithm)
		if err != nil {
			return nil, err
		}
		made := webKey{Algorithm: algorithm, Sealed: s.outbound.Keys.Seal(private, aad), Created: s.g.Now().UTC()}
		clear(private)
		err = s.g.Change(ctx, func(tx store.Tx) error {
			if err := read(tx); err != nil || ok {
				return err
			}
			rec = made
			return webKeys.Put(tx, made, algorithm)
		})
		if err != nil {
			return nil, err
		}
	}
	private, err := s.outbound.Keys.Open(rec.Sealed, aad)
	if err != nil {
		return nil, err
	}
	defer clear(private)
	return webtoken.Read(algorithm, private)
}
