package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/permit"
	"github.com/kagimori/kagimori/internal/hsm"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/store"
)

// managedPolicy is the policy under which a service makes its key in a customer's account: the right of
// the service, said in the language that everything else is decided in.
const managedPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"AWS managed keys","Effect":"Allow",
"Principal":{"Service":%q},"Action":"kms:CreateKey","Resource":"*"}]}`

var errManagedExists = apierr.New("AlreadyExistsException", "The AWS managed key of the service exists.")

// ensureManaged makes the AWS managed key of a service if an identifier names it and it does not exist
// in the caller's account and region yet. It is created on first use.
// Source: KMS Developer Guide, "AWS managed keys"; DescribeKey, "predefined AWS alias".
func (s *Service) ensureManaged(ctx context.Context, c *guard.Call, id string) error {
	pre, missing, err := s.managedMissing(ctx, c, id)
	if err != nil || !missing {
		return err
	}
	own := &guard.Call{
		ID: c.ID, Service: "kms", Operation: "CreateKey", Region: c.Region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.ServiceIdentity(pre.principal()), InvokedBy: pre.principal()},
	}
	err = guard.InvokeVoid(ctx, s.g, own, &kmsapi.CreateKeyRequest{Description: new(pre.description())},
		func(ctx context.Context, own *guard.Call, _ *kmsapi.CreateKeyRequest) error {
			return s.createManaged(ctx, own, c.Account(), pre)
		})
	if errors.Is(err, errManagedExists) {
		return nil // another request was first
	}
	return err
}

// managedMissing is the predefined alias that an identifier names, and reports whether its key is missing.
func (s *Service) managedMissing(ctx context.Context, c *guard.Call, id string) (pre predefined, missing bool, err error) {
	if strings.HasPrefix(id, "arn:") {
		id = strings.TrimPrefix(id, arn.KMSAlias(c.Region, c.Account(), ""))
	}
	pre, ok := predefinedAlias(id)
	if !ok {
		return pre, false, nil
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		_, exists, err := aliasTable.Get(tx, c.Region, c.Account(), pre.alias())
		missing = !exists
		return err
	})
	return pre, missing, err
}

// describedManaged is ensureManaged for DescribeKey, whose caller may make the key if he may describe it
// then.
func (s *Service) describedManaged(ctx context.Context, c *guard.Call, id string) error {
	pre, missing, err := s.managedMissing(ctx, c, id)
	if err != nil || !missing {
		return err
	}
	would, err := s.buildView(new(s.managedKey(c.Region, c.Account(), pre)))
	if err != nil {
		return err
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		p := would.part(c, "kms:DescribeKey")
		requestAlias(&p.Context, resolved{alias: pre.alias()})
		if ok, err := s.g.Allowed(tx, c, p); err != nil || ok {
			return err
		}
		_, err := s.authorize(tx, c, would, p, false) // refused, and on record
		return err
	})
	if err != nil {
		return err
	}
	return s.ensureManaged(ctx, c, id)
}

// managedKey is the key of a predefined alias, without material.
func (s *Service) managedKey(region, account string, pre predefined) keyRecord {
	return keyRecord{
		ID: guard.NewRequestID(), Region: region, Account: account, Description: pre.description(),
		Usage: kmsapi.KeyUsageTypeENCRYPT_DECRYPT, Spec: kmsapi.KeySpecSYMMETRIC_DEFAULT, Origin: "AWS_KMS",
		Manager: kmsapi.KeyManagerTypeAWS, State: kmsapi.KeyStateEnabled, Created: s.g.Now().Truncate(time.Millisecond),
		Policy: policy.ManagedKeyPolicy(pre.name, pre.title, pre.viaService(), account, region), Aliases: []string{pre.alias()},
	}
}

func (s *Service) createManaged(ctx context.Context, c *guard.Call, account string, pre predefined) error {
	doc, err := policy.Parse(fmt.Appendf(nil, managedPolicy, pre.principal()), policy.Resource)
	if err != nil {
		return err
	}
	right := authz.Compile(doc, policy.Resource)
	right.Name, right.Owner = "AWS managed keys", "aws"
	part := authz.Part{Action: "kms:CreateKey", Resource: authz.Resource{ARN: "*", Account: account, AWSManaged: true}, Policy: right}
	var p permit.Permit
	authorize := func(tx store.Tx) (err error) {
		p, err = s.g.Allow(tx, c, part)
		return err
	}
	if err := s.g.View(ctx, c, authorize); err != nil {
		return err
	}
	k := s.managedKey(c.Region, account, pre)
	m, err := s.hsm.Generate(ctx, p, k.arn(), hsm.Spec(k.Spec))
	if err != nil {
		return err
	}
	k.Materials = []hsm.Material{m}
	k.Rotation = managedRotation(k.Created, k.Created)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if _, exists, err := aliasTable.Get(tx, c.Region, account, pre.alias()); err != nil {
			return err
		} else if exists {
			return errManagedExists
		}
		if err := authorize(tx); err != nil {
			return err
		}
		c.Touch(k.arn(), account, keyType)
		c.Respond(&kmsapi.CreateKeyResponse{KeyMetadata: k.metadata()})
		if _, err := freshen(s.hsm, &k); err != nil {
			return err
		}
		if err := keyTable.Put(tx, k, k.Region, k.Account, k.ID); err != nil {
			return err
		}
		if err := reschedule(tx, &keyRecord{}, &k); err != nil {
			return err
		}
		return aliasTable.Put(tx, aliasRecord{pre.alias(), k.ID, k.Created, k.Created}, k.Region, k.Account, pre.alias())
	})
	if err == nil {
		s.wakeAt(k.due())
	}
	return err
}

// forwardedManaged is ensureManaged for a service that uses the key for its caller.
func (s *Service) forwardedManaged(ctx context.Context, c *guard.Call, id *string) error {
	if !c.Caller.Forwarded() {
		return nil
	}
	return s.ensureManaged(ctx, c, api.Val(id))
}
