package ec2_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/ec2"
	"github.com/kagimori/kagimori/internal/ec2/ec2test"
	"github.com/kagimori/kagimori/internal/ec2/vpc"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// Accounts of the tests.
const (
	mine   = ec2test.Account
	theirs = "444455556666"
	region = guardtest.Region
)

// A desk is EC2 for what needs no instance and no volume: KMS is only a book of key names.
type desk struct{ *ec2test.Desk }

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskWith(t, vpc.Quotas{})
}

func newDeskWith(t *testing.T, quotas vpc.Quotas) *desk {
	t.Helper()
	w := guardtest.New(t)
	volumes, _ := shelf(w)
	s := ec2.New(ec2.Config{Guard: w.Guard, Clock: w.Clock, Keys: keyNames{}, Volumes: volumes, Logger: w.Logger, Quotas: quotas})
	return &desk{&ec2test.Desk{World: w, Ops: s.Operations()}}
}

func (d *desk) try(as guard.Caller, in any) (any, error) { return d.Try(as, in) }

func ask[Out any](d *desk, as guard.Caller, in any) *Out {
	d.T.Helper()
	return ec2test.Ask[Out](d.Desk, as, in)
}

func (d *desk) refuse(as guard.Caller, in any, code, message string) {
	d.T.Helper()
	d.Refuse(as, in, code, message)
}

func (d *desk) count(bucket string) int { return d.Count(bucket) }

// root is the root user of an account.
func (d *desk) root(account string) guard.Caller { return d.Lookup(account) }

func (d *desk) allowed(name, action, resource, condition string) guard.Caller {
	d.T.Helper()
	return d.Allowed(name, action, resource, condition)
}

// keyNames is a KMS that knows one key, and the AWS managed one.
type keyNames struct{}

const (
	knownKey = "arn:aws:kms:" + region + ":" + mine + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	noKey    = "alias/nothing"

	managedKey = "arn:aws:kms:" + region + ":" + mine + ":key/0d3b5c53-9a53-4e57-8f5b-5c5a0a1b2c3d"
)

var errNoKMS = errors.New("no KMS here")

func (keyNames) ResolveKey(_ context.Context, _, _, id string) (string, error) {
	if id == "alias/data" || id == knownKey {
		return knownKey, nil
	}
	if id == launch.AWSManagedAlias {
		return managedKey, nil
	}
	return "", apierr.New("NotFoundException", "Alias "+id+" is not found.")
}

func (keyNames) ManagedByAWS(context.Context, string) (bool, error) { return false, nil }

func (keyNames) DescribeKey(context.Context, *guard.Call, guard.Caller, *kmsapi.DescribeKeyRequest) (*kmsapi.DescribeKeyResponse, error) {
	return nil, errNoKMS
}

func (keyNames) GenerateDataKeyWithoutPlaintext(context.Context, *guard.Call, guard.Caller, *kmsapi.GenerateDataKeyWithoutPlaintextRequest) (*kmsapi.GenerateDataKeyWithoutPlaintextResponse, error) {
	return nil, errNoKMS
}

func (keyNames) CreateGrant(context.Context, *guard.Call, guard.Caller, *kmsapi.CreateGrantRequest) (*kmsapi.CreateGrantResponse, error) {
	return nil, errNoKMS
}

func (keyNames) RetireGrant(context.Context, *guard.Call, guard.Caller, *kmsapi.RetireGrantRequest) error {
	return errNoKMS
}

func (keyNames) ReEncrypt(context.Context, *guard.Call, guard.Caller, *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return nil, errNoKMS
}

func (keyNames) ReEncryptHalf(context.Context, *guard.Call, guard.Caller, *kmsapi.ReEncryptRequest) (*kmsapi.ReEncryptResponse, error) {
	return nil, errNoKMS
}

func (keyNames) Decrypt(context.Context, *guard.Call, guard.Caller, *kmsapi.DecryptRequest) (*kmsapi.DecryptResponse, error) {
	return nil, errNoKMS
}

// scaling is a session of the service-linked role of Auto Scaling, which may do anything to EC2.
func (d *desk) scaling() guard.Caller {
	d.T.Helper()
	role := directory.Role{
		Account: mine, Name: "AWSServiceRoleForAutoScaling", Path: arn.ServiceLinkedPath("autoscaling.amazonaws.com"),
		ID: directory.NewID("AROA"), Created: time.Now(), Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
		Inline: map[string]string{"ec2": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`},
	}
	d.Update(func(tx store.Tx) error { return d.Directory.PutRole(tx, role) })
	var id directory.Identity
	d.View(func(tx store.Tx) (err error) {
		id, err = d.Directory.SessionIdentity(tx, directory.SessionGrant{
			Account: mine, RoleName: role.Name, RolePath: role.Path, RoleID: role.ID, Name: "AutoScaling",
			IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		})
		return err
	})
	return guardtest.Caller(id)
}

func filter(name string, values ...string) ec2api.Filter { return ec2test.Filter(name, values...) }

func tagList(pairs ...string) []ec2api.Tag { return ec2test.Tags(pairs...) }
