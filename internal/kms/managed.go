package kms

import (
	"context"
	"errors"
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

// ebsAlias is the alias of the AWS managed key of Amazon EBS.
const ebsAlias = "alias/aws/ebs"

// ebsService is the service principal that makes it.
const ebsService = "ebs.amazonaws.com"

// managedPolicy is the policy under which EBS makes its key in a customer's account: the right of
// the service, said in the language that everything else is decided in.
const managedPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"AWS managed keys","Effect":"Allow",
"Principal":{"Service":"ebs.amazonaws.com"},"Action":"kms:CreateKey","Resource":"*"}]}`

var errManagedExists = apierr.New("AlreadyExistsException", "The AWS managed key of the service exists.")

// ensureManaged makes the AWS managed key of EBS if an identifier names it and it does not exist
// in the caller's account and region yet. It is created on first use.
// Source: KMS Developer Guide, "AWS managed keys"; DescribeKey, "predefined AWS alias".
func (s *Service) ensureManaged(ctx context.Context, c *guard.Call, id string) error {
	if missing, err := s.managedMissing(ctx, c, id); err != nil || !missing {
		return err
	}
	own := &guard.Call{
		ID: c.ID, Service: "kms", Operation: "CreateKey", Region: c.Region, Time: s.g.Now(),
		Caller: guard.Caller{Identity: directory.ServiceIdentity(ebsService), InvokedBy: ebsService},
	}
	err := guard.InvokeVoid(ctx, s.g, own, &kmsapi.CreateKeyRequest{
		Description: new("Default key that protects my EBS volumes when no other key is defined"),
	}, func(ctx context.Context, own *guard.Call, in *kmsapi.CreateKeyRequest) error {
		return s.createManaged(ctx, own, c.Account(), *in.Description)
	})
	if errors.Is(err, errManagedExists) {
		return nil // another request was first
	}
	return err
}

// managedMissing reports whether an identifier names the key and there is none yet.
func (s *Service) managedMissing(ctx context.Context, c *guard.Call, id string) (missing bool, err error) {
	if id != ebsAlias && id != arn.KMSAlias(c.Region, c.Account(), ebsAlias) {
		return false, nil
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		_, exists, err := aliasTable.Get(tx, c.Region, c.Account(), ebsAlias)
		missing = !exists
		return err
	})
	return missing, err
}

// describedManaged is ensureManaged for DescribeKey, whose caller may make the key if he may describe it
// then.
func (s *Service) describedManaged(ctx context.Context, c *guard.Call, id string) error {
	missing, err := s.managedMissing(ctx, c, id)
	if err != nil || !missing {
		return err
	}
	would, err := s.buildView(s.managedKey(c.Region, c.Account(), ""))
	if err != nil {
		return err
	}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		p := would.part("kms:DescribeKey")
		requestAlias(&p.Context, resolved{alias: ebsAlias})
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

// managedKey is the key, without material.
func (s *Service) managedKey(region, account, description string) keyRecord {
	return keyRecord{
		ID: guard.NewRequestID(), Region: region, Account: account, Description: description,
		Usage: kmsapi.KeyUsageTypeENCRYPT_DECRYPT, Spec: kmsapi.KeySpecSYMMETRIC_DEFAULT, Origin: "AWS_KMS",
		Manager: kmsapi.KeyManagerTypeAWS, State: kmsapi.KeyStateEnabled, Created: s.g.Now().Truncate(time.Millisecond),
		Policy: policy.EBSManagedKeyPolicy(account, region), Aliases: []string{ebsAlias},
	}
}

func (s *Service) createManaged(ctx context.Context, c *guard.Call, account, description string) error {
	doc, err := policy.Parse([]byte(managedPolicy), policy.Resource)
	if err != nil {
		return err
	}
	right := authz.Compile(doc, policy.Resource)
	right.Name, right.Owner = "AWS managed keys", "aws"
	part := authz.Part{Action: "kms:CreateKey", Resource: authz.Resource{ARN: "*", Account: account}, Policy: right}
	var p permit.Permit
	authorize := func(tx store.Tx) (err error) {
		p, err = s.g.Allow(tx, c, part)
		return err
	}
	if err := s.g.View(ctx, c, authorize); err != nil {
		return err
	}
	k := s.managedKey(c.Region, account, description)
	m, err := s.hsm.Generate(ctx, p, k.arn(), hsm.Spec(k.Spec))
	if err != nil {
		return err
	}
	k.Materials = []hsm.Material{m}
	k.Rotation = managedRotation(k.Created, k.Created)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if _, exists, err := aliasTable.Get(tx, c.Region, account, ebsAlias); err != nil {
			return err
		} else if exists {
			return errManagedExists
		}
		if err := authorize(tx); err != nil {
			return err
		}
		c.Touch(k.arn(), account, "AWS::KMS::Key")
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
		return aliasTable.Put(tx, aliasRecord{ebsAlias, k.ID, k.Created, k.Created}, k.Region, k.Account, ebsAlias)
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
