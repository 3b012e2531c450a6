package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/secret"
)

// errLimited is why a caller with session policies cannot go on after a restart.
var errLimited = apierr.New("AccessDeniedException", "The session of the caller did not outlive a restart of the server.")

// as is the principal of a KMS request.
func (s *Service) as(j *job, r launch.Request) (guard.Caller, error) {
	if r.As == launch.Caller {
		if j.Caller.Limited && (j.caller.Session == nil || j.caller.Session.Policies == nil) {
			return guard.Caller{}, errLimited
		}
		as := j.caller.Via(Principal)
		// The request comes from EC2, over its own connection.
		as.Secure, as.UserAgent, as.SourceIP = true, "", ""
		return as, nil
	}
	if r.As == launch.Infrastructure {
		id := s.dir.InfrastructureIdentity(r.Account, j.Region, r.Instance)
		return guard.Caller{Identity: id, Secure: true, InvokedBy: "AWS Internal"}, nil
	}
	p, ok := r.Principal()
	if !ok {
		return guard.Caller{}, errors.New("ec2: nobody to make the request " + r.String())
	}
	return guard.Caller{
		Identity: directory.ServiceIdentity(p.ARN), Secure: true, InvokedBy: p.ARN,
		SourceARN: r.TargetARN, SourceAccount: r.Account,
	}, nil
}

// request makes one KMS request of a launch that yields no plaintext.
func (s *Service) request(ctx context.Context, j *job, r launch.Request) (launch.Result, error) {
	as, err := s.as(j, r)
	if err != nil {
		return launch.Result{}, &partError{1, err}
	}
	var out launch.Result
	switch r.Call {
	case launch.GenerateDataKey:
		res, err := s.keys.GenerateDataKeyWithoutPlaintext(ctx, s.callFor(j, r), as, &kmsapi.GenerateDataKeyWithoutPlaintextRequest{
			KeyId: &r.KeyARN, EncryptionContext: r.EncryptionContext, NumberOfBytes: new(int32(r.NumberOfBytes)),
			GrantTokens: r.GrantTokens,
		})
		if err != nil {
			return out, refused(err)
		}
		out.WrappedKey, out.DataKeyID = res.CiphertextBlob, guard.NewRequestID()
	case launch.CreateGrant:
		res, err := s.keys.CreateGrant(ctx, s.callFor(j, r), as, grantRequest(j, r))
		if err != nil {
			return out, refused(err)
		}
		out.Grant = launch.GrantRef{ID: api.Val(res.GrantId), Token: api.Val(res.GrantToken)}
	case launch.ReEncrypt, launch.AuthorizeReEncrypt:
		if regionOf(r.SourceKeyARN) != regionOf(r.KeyARN) {
			return out, s.authorizeAbroad(ctx, j, r, as)
		}
		res, err := s.keys.ReEncrypt(ctx, s.callFor(j, r), as, reEncryptRequest(r))
		if r.Call == launch.AuthorizeReEncrypt && apierr.Code(err) == "DryRunOperationException" {
			return out, nil
		}
		if err != nil {
			return out, refused(err)
		}
		out.WrappedKey = res.CiphertextBlob
	case launch.DescribeKey:
		_, err := s.keys.DescribeKey(ctx, s.callFor(j, r), as, &kmsapi.DescribeKeyRequest{KeyId: &r.KeyARN})
		return out, refused(err)
	case launch.RetireGrant:
		return out, s.retire(ctx, s.callFor(j, r), as, r)
	default:
		return out, errors.New("ec2: no step is " + r.String())
	}
	return out, nil
}

// authorizeAbroad asks for the permission to read under the source's key in its Region, and to write under the
// destination's in its own: a copy between Regions needs both, as one within a Region does.
func (s *Service) authorizeAbroad(ctx context.Context, j *job, r launch.Request, as guard.Caller) error {
	for n, key := range []string{r.SourceKeyARN, r.KeyARN} {
		c := s.jobCall(j)
		c.Region = regionOf(key)
		_, err := s.keys.ReEncryptHalf(ctx, c, as, reEncryptRequest(r))
		if apierr.Code(err) != "DryRunOperationException" {
			return &partError{n + 1, err}
		}
	}
	return nil
}

func regionOf(key string) string {
	a, err := arn.Parse(key)
	if err != nil {
		return ""
	}
	return a.Region
}

// callFor is the call that a KMS request is part of, in the region of the key: a copy reads the
// source under a key of its region.
func (s *Service) callFor(j *job, r launch.Request) *guard.Call {
	c := s.jobCall(j)
	if a, err := arn.Parse(r.KeyARN); err == nil {
		c.Region = a.Region
	}
	return c
}

// refused says which part of a request an error is about.
func refused(err error) error {
	if err == nil {
		return nil
	}
	part := 1
	if d, ok := guard.Denied(err); ok && d.Decision.Part > 0 {
		part = d.Decision.Part + 1
	}
	return &partError{part, err}
}

// grantRequest asks for a grant. Its name follows from the job, so that asking again after a
// restart finds the grant that was made and makes no second one. (AWS's grants of 2014 had such
// names, a UUID.) Source: KMS API Reference, CreateGrant, Name.
func grantRequest(j *job, r launch.Request) *kmsapi.CreateGrantRequest {
	g := r.Grant
	in := &kmsapi.CreateGrantRequest{
		KeyId: &r.KeyARN, RetiringPrincipal: &g.Retiring, Operations: g.Operations, GrantTokens: r.GrantTokens,
		Constraints: &kmsapi.GrantConstraints{EncryptionContextSubset: g.ContextSubset, SourceArn: api.Opt(g.SourceARN)},
	}
	if g.ByService {
		in.GranteeServicePrincipal = &g.Grantee
	} else {
		in.GranteePrincipal = &g.Grantee
	}
	sum := sha256.Sum256([]byte(j.Request + "\x00" + j.Subject + "\x00" + r.TargetARN + "\x00" + string(r.Purpose)))
	h := hex.EncodeToString(sum[:16])
	in.Name = new(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
	return in
}

func reEncryptRequest(r launch.Request) *kmsapi.ReEncryptRequest {
	in := &kmsapi.ReEncryptRequest{
		CiphertextBlob: r.Ciphertext, SourceKeyId: &r.SourceKeyARN, SourceEncryptionContext: r.SourceEncryptionContext,
		DestinationKeyId: &r.KeyARN, DestinationEncryptionContext: r.EncryptionContext, GrantTokens: r.GrantTokens,
	}
	if r.Call == launch.AuthorizeReEncrypt {
		in.DryRun = new(true)
	}
	return in
}

// retire ends a grant; one that is not there any more is ended.
func (s *Service) retire(ctx context.Context, parent *guard.Call, as guard.Caller, r launch.Request) error {
	err := s.keys.RetireGrant(ctx, parent, as, &kmsapi.RetireGrantRequest{KeyId: &r.KeyARN, GrantId: &r.Grant.ID})
	if apierr.Code(err) == "NotFoundException" {
		return nil
	}
	return refused(err)
}

// dataKeys makes the Decrypt requests of a step. The caller wipes what it gets.
func (s *Service) dataKeys(ctx context.Context, j *job, requests []launch.Request) (keys []secret.Bytes, err error) {
	for i, r := range requests {
		as, err := s.as(j, r)
		if err != nil {
			wipe(keys)
			return nil, &partError{i + 1, err}
		}
		// No KeyId, as at AWS: the ciphertext names the key.
		res, err := s.keys.Decrypt(ctx, s.callFor(j, r), as, &kmsapi.DecryptRequest{
			CiphertextBlob: r.Ciphertext, EncryptionContext: r.EncryptionContext, GrantTokens: r.GrantTokens,
			EncryptionAlgorithm: new(kmsapi.EncryptionAlgorithmSpecSYMMETRIC_DEFAULT),
		})
		if err != nil {
			wipe(keys)
			return nil, &partError{i + 1, err}
		}
		keys = append(keys, res.Plaintext)
	}
	return keys, nil
}

func wipe(keys []secret.Bytes) {
	for _, k := range keys {
		k.Wipe()
	}
}
