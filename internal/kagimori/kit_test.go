package kagimori_test

import (
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/guard/guardtest"
	"github.com/kagimori/kagimori/internal/kagimori"
	"github.com/kagimori/kagimori/internal/kms"
	"github.com/kagimori/kagimori/internal/store"
)

// Accounts of the seed's two examples: G has group and key, K the key of A's group.
const (
	accountG = "123456789012"
	accountK = "444455556666"
	accountA = "111122223333"

	rolePath = "/aws-service-role/autoscaling.amazonaws.com/"
	roleName = "AWSServiceRoleForAutoScaling"
)

type kit struct {
	*guardtest.World
	t        testing.TB
	kms      *kms.Service
	kagimori *kagimori.Service
}

func newKit(t testing.TB) *kit {
	w := guardtest.New(t)
	keys := kms.New(kms.Config{Guard: w.Guard, Module: w.Module, Clock: w.Clock, Logger: w.Logger})
	return &kit{
		World: w, t: t, kms: keys, kagimori: kagimori.New(kagimori.Config{Guard: w.Guard, Trail: w.Trail, Keys: keys.Questions()}),
	}
}

// call serves one operation and returns its request id.
func call(k *kit, svc *api.Service, ops map[string]guard.Handler, as guard.Caller, op string, in any) (id string, out any, err error) {
	k.t.Helper()
	c := &guard.Call{
		ID: guard.NewRequestID(), Service: svc.Name, Operation: op, Region: guardtest.Region, Caller: as, Time: k.Guard.Now(),
		ReadOnly: svc.Operations[op].ReadOnly,
	}
	out, err = k.Guard.Invoke(k.t.Context(), c, in, ops[op])
	return c.ID, out, err
}

func (k *kit) useKMS(as guard.Caller, op string, in any) (id string, out any, err error) {
	k.t.Helper()
	return call(k, kmsapi.Service(), k.kms.Operations(), as, op, in)
}

// newKey makes a key as the administrator of an account and returns its ARN.
func (k *kit) newKey(account string) string {
	k.t.Helper()
	_, out, err := k.useKMS(k.Lookup(account+"ADMIN"), "CreateKey", &kmsapi.CreateKeyRequest{})
	k.Must(err)
	return *out.(*kmsapi.CreateKeyResponse).KeyMetadata.Arn
}

// autoScaling is a session of the service-linked role of an account, as EC2 forwards it.
func (k *kit) autoScaling(account string) guard.Caller {
	k.t.Helper()
	r := directory.Role{
		Account: account, Name: roleName, Path: rolePath, ID: directory.NewID("AROA"), Service: "autoscaling.amazonaws.com",
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"autoscaling.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
	}
	var id directory.Identity
	k.Update(func(tx store.Tx) error { return k.Directory.PutRole(tx, r) })
	k.View(func(tx store.Tx) (err error) {
		id, err = k.Directory.SessionIdentity(tx, directory.SessionGrant{
			Account: account, RoleName: r.Name, RolePath: r.Path, RoleID: r.ID, Name: "AutoScaling", IssuedAt: time.Now(),
		})
		return err
	})
	return guard.Caller{Identity: id, InvokedBy: "autoscaling.amazonaws.com"}.Via("ec2.amazonaws.com")
}

func slrARN(account string) string { return arn.Role(account, rolePath, roleName) }

// details asks about a request as the administrator of an account.
func (k *kit) details(account, request string) ([]kagimoriapi.Authorization, error) {
	k.t.Helper()
	_, out, err := call(k, kagimoriapi.Service(), k.kagimori.Operations(), k.Lookup(account+"ADMIN"), "GetAuthorizationDetails",
		&kagimoriapi.GetAuthorizationDetailsRequest{AuthorizationId: &request})
	if err != nil {
		return nil, err
	}
	return out.(*kagimoriapi.GetAuthorizationDetailsResponse).Authorizations, nil
}

// evaluation is the only evaluation of a request.
func (k *kit) evaluation(account, request string) (kagimoriapi.Authorization, kagimoriapi.Evaluation) {
	k.t.Helper()
	all, err := k.details(account, request)
	k.Must(err)
	if len(all) != 1 || len(all[0].Evaluations) != 1 {
		k.t.Fatalf("authorizations = %+v", all)
	}
	return all[0], all[0].Evaluations[0]
}
