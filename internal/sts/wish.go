package sts

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of a session. Source: STS API Reference, AssumeRole; IAM User Guide, "IAM and AWS STS quotas".
const (
	maxPolicyARNs = 10
	maxPlainText  = 2048 // characters of the session policies that are passed as text or ARN
	maxTags       = 50
)

// A wish is what a request asks of the session: checked against itself and the caller, not yet
// against the role.
type wish struct {
	action     string // that lets a role be assumed so
	provider   string // identity provider, or ""
	claims     authz.Context
	duration   time.Duration
	source     string            // source identity, which a chain of roles keeps
	tags       map[string]string // with those inherited from the caller's session
	transitive []string
	policies   []string
	policyARNs []string
	packed     int32 // percent of the space for policies and tags that is used
	context    authz.Context
}

func (w *wish) hasPolicies() bool { return len(w.policies)+len(w.policyARNs) > 0 }

// wishes reads a request of AssumeRole.
func wishes(c *guard.Call, in *stsapi.AssumeRoleRequest) (*wish, error) {
	w := &wish{action: "sts:AssumeRole", duration: defaultDuration, source: api.Val(in.SourceIdentity)}
	if in.DurationSeconds != nil {
		w.duration = time.Duration(*in.DurationSeconds) * time.Second
	}
	if c.Caller.Principal.Type == authz.RoleSession && w.duration > defaultDuration {
		return nil, apierr.New("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if len(in.ProvidedContexts) > 0 {
		return nil, apierr.New("ValidationError", "kagimori does not take provided contexts yet.")
	}
	if s := c.Caller.Session; s != nil && s.SourceIdentity != "" {
		if w.source != "" && w.source != s.SourceIdentity {
			return nil, apierr.New("ValidationError", "The source identity is already set for this assume role session")
		}
		w.source = s.SourceIdentity
	}
	if err := w.setTags(c, in); err != nil {
		return nil, err
	}
	if err := w.setPolicies(in); err != nil {
		return nil, err
	}
	w.setContext(in)
	return w, nil
}

// codeParameter is of transitive tags that cannot be.
const codeParameter = "InvalidParameterValue"

// setTags takes the request's tags and those that the caller's session hands on. Keys are unique
// whatever their case. Source: IAM User Guide, "Pass session tags in AWS STS".
func (w *wish) setTags(c *guard.Call, in *stsapi.AssumeRoleRequest) error {
	w.tags = map[string]string{}
	folded := map[string]string{} // lower case to the key as it is spelt
	if s := c.Caller.Session; s != nil {
		for k, v := range s.Transitive {
			w.tags[k], folded[strings.ToLower(k)] = v, k
			w.transitive = append(w.transitive, k)
		}
	}
	inherited := len(w.tags)
	for _, t := range in.Tags {
		key := api.Val(t.Key)
		fold := strings.ToLower(key)
		switch old, taken := folded[fold]; {
		case taken && slices.Contains(w.transitive[:inherited], old):
			return apierr.New(codeParameter, "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case taken:
			return apierr.New("ValidationError", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case strings.HasPrefix(fold, "aws:"):
			return apierr.Newf("ValidationError", "The tag key %s is not valid: the prefix aws: is reserved for AWS.", key)
		}
		w.tags[key], folded[fold] = api.Val(t.Value), key
	}
	if len(w.tags) > maxTags {
		return apierr.Newf("ValidationError", "A session can have up to %d tags.", maxTags)
	}
	for _, k := range in.TransitiveTagKeys {
		key, ok := folded[strings.ToLower(k)]
		if !ok {
			return apierr.New(codeParameter, "The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(w.transitive, key) {
			w.transitive = append(w.transitive, key)
		}
	}
	slices.Sort(w.transitive)
	return nil
}

// setPolicies checks the session policies as far as the request itself goes.
func (w *wish) setPolicies(in *stsapi.AssumeRoleRequest) error {
	size := 0
	if p := api.Val(in.Policy); p != "" {
		if _, err := policy.CheckSession([]byte(p)); err != nil {
			return err
		}
		w.policies = []string{p}
		size = len([]rune(p))
	}
	if len(in.PolicyArns) > maxPolicyARNs {
		return apierr.Newf("ValidationError", "The number of managed session policies exceeds %d.", maxPolicyARNs)
	}
	for _, d := range in.PolicyArns {
		w.policyARNs = append(w.policyARNs, api.Val(d.Arn))
		size += len(api.Val(d.Arn))
	}
	tags := 0
	for k, v := range w.tags {
		tags += len(k) + len(v)
	}
	// How AWS packs policies and tags is not documented; kagimori counts their characters.
	percent := func(size int) int32 { return int32((size*100 + maxPlainText - 1) / maxPlainText) }
	if n := percent(tags); n > 100 {
		return apierr.Newf("PackedPolicyTooLarge", "Packed size of session tags consumes %d%% of allotted space.", n)
	}
	if w.packed = percent(size + tags); w.packed > 100 {
		return apierr.Newf("PackedPolicyTooLarge", "Packed policy consumes %d%% of allotted space, please use smaller policy.", w.packed)
	}
	return nil
}

// setContext supplies the condition keys of the request.
// Source: Service Authorization Reference, AWS Security Token Service.
func (w *wish) setContext(in *stsapi.AssumeRoleRequest) {
	w.context.Set("sts:rolesessionname", api.Val(in.RoleSessionName))
	if in.ExternalId != nil {
		w.context.Set("sts:externalid", *in.ExternalId)
	}
	if w.source != "" {
		w.context.Set("sts:sourceidentity", w.source)
	}
	w.setTagContext()
	if len(w.transitive) > 0 {
		w.context.SetList("sts:transitivetagkeys", w.transitive)
	}
}

// setTagContext supplies the condition keys of the tags.
func (w *wish) setTagContext() {
	if len(w.tags) == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(w.tags))
	for _, k := range keys {
		w.context.Set("aws:requesttag/"+k, w.tags[k])
	}
	w.context.SetList("aws:tagkeys", keys)
}

// proved takes the MFA code of a request; false if it has none. The texts are as reported by users.
func (s *Service) proved(ctx context.Context, c *guard.Call, serial, code *string) (bool, error) {
	if serial == nil && code == nil {
		return false, nil
	}
	if s.mfa != nil && serial != nil && code != nil && c.Caller.Session == nil {
		known, ok, err := s.mfa(ctx, c.Caller.Principal, *serial, *code)
		if ok || err != nil {
			return ok, err
		}
		if known {
			return false, denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
		}
	}
	return false, denied("MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
}

// checkPolicies wants managed session policies to exist in the role's account or at AWS.
func (s *Service) checkPolicies(tx store.Tx, r *role, w *wish) error {
	for _, policyARN := range w.policyARNs {
		a, err := arn.Parse(policyARN)
		if err != nil || a.Partition != arn.Partition || a.Service != "iam" || a.Type() != "policy" || a.Account != "aws" && a.Account != r.Account {
			return apierr.Newf("ValidationError", "The policy ARN %s is invalid: a session policy is one of AWS or of the role's account.", policyARN)
		}
		ok, err := s.dir.PolicyExists(tx, policyARN)
		if err != nil {
			return err
		}
		if !ok {
			return apierr.Newf("ValidationError", "The policy %s does not exist or is not attachable.", policyARN)
		}
	}
	return nil
}
