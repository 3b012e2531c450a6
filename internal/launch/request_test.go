package launch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/launch"
)

// requests gives the KMS requests of a healthy run, by their line in the golden tables.
func requests(t *testing.T, s launch.Spec) map[string]launch.Request {
	t.Helper()
	got, w, st := map[string]launch.Request{}, newWorld(t), mustNew(t, s)
	for step := st.Step(); !step.Terminal(); {
		for _, q := range step.Requests {
			one := step
			one.Kind, one.Requests, one.Create = launch.StepRequest, []launch.Request{q}, nil
			got[line(one)] = q
		}
		st, step = st.Next(w.perform(step))
	}
	return got
}

// flat turns a context into a map; lists are joined by commas.
func flat(t *testing.T, c authz.Context) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, e := range c {
		if _, twice := m[e.Key]; twice {
			t.Errorf("%s is set twice", e.Key)
		}
		m[e.Key] = e.One
		if e.Multi {
			m[e.Key] = strings.Join(e.List, ",")
		}
	}
	return m
}

func TestContexts(t *testing.T) {
	s := spec(launch.RunInstances, device("a", "encrypted own", new(true), "X"))
	s.CalledVia = []string{"cloudformation.amazonaws.com"}
	reqs := requests(t, s)
	const volume, instance = "arn:aws:ec2:us-west-2:111122223333:volume/vol-a", "arn:aws:ec2:us-west-2:111122223333:instance/i-1"
	always := map[string]string{"aws:requestedregion": "us-west-2", "aws:securetransport": "true"}
	forwarded := map[string]string{
		"kms:viaservice": "ec2.us-west-2.amazonaws.com", "kms:calleraccount": "111122223333",
		"aws:viaawsservice": "true", "aws:calledvia": "cloudformation.amazonaws.com,ec2.amazonaws.com",
		"aws:calledviafirst": "cloudformation.amazonaws.com", "aws:calledvialast": "ec2.amazonaws.com",
	}
	service := map[string]string{"aws:viaawsservice": "false", "aws:sourceaccount": "111122223333", "aws:sourcearn": volume}
	infra := map[string]string{
		"kms:viaservice": "ec2.us-west-2.amazonaws.com", "kms:calleraccount": "111122223333",
		"aws:viaawsservice": "false", "ec2:sourceinstancearn": instance,
	}
	ec := func(id string) map[string]string {
		return map[string]string{"kms:encryptioncontext:aws:ebs:id": id, "kms:encryptioncontextkeys": "aws:ebs:id"}
	}
	symmetric := map[string]string{"kms:encryptionalgorithm": "SYMMETRIC_DEFAULT"}
	creation := map[string]string{
		"kms:grantisforawsresource": "true", "kms:grantoperations": "Decrypt",
		"kms:grantconstrainttype": "EncryptionContextSubset", "kms:retiringprincipal": "ec2.us-west-2.amazonaws.com",
		"kms:granteeserviceprincipal": "ebs.amazonaws.com", "kms:grantconstraintsourcearn": volume,
	}
	attach := maps.Clone(creation)
	delete(attach, "kms:granteeserviceprincipal")
	delete(attach, "kms:grantconstraintsourcearn")
	attach["kms:granteeprincipal"] = "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1"
	other := map[string]string{"kms:reencryptonsamekey": "false"}

	type part struct {
		action, key string
		context     []map[string]string
	}
	for name, want := range map[string][]part{
		"caller: AuthorizeReEncrypt 5a[vol-old] -> X[vol-a]": {
			{"kms:ReEncryptFrom", snapKey, []map[string]string{always, forwarded, symmetric, other, ec("vol-old")}},
			{"kms:ReEncryptTo", resolve("X"), []map[string]string{always, forwarded, symmetric, other, ec("vol-a")}},
		},
		"caller: GenerateDataKeyWithoutPlaintext X[vol-a]": {
			{"kms:GenerateDataKeyWithoutPlaintext", resolve("X"), []map[string]string{always, forwarded, symmetric, ec("vol-a")}},
		},
		"caller: CreateGrant(source) 5a[vol-old]": {
			{"kms:CreateGrant", snapKey, []map[string]string{always, forwarded, creation, ec("vol-old")}},
		},
		"caller: CreateGrant(attach) X[vol-a]": {
			{"kms:CreateGrant", resolve("X"), []map[string]string{always, forwarded, attach, ec("vol-a")}},
		},
		"ebs: Decrypt 5a[vol-old]": {
			{"kms:Decrypt", snapKey, []map[string]string{always, service, symmetric, ec("vol-old")}},
		},
		"ec2: RetireGrant(source) 5a[vol-old]": {
			{"kms:RetireGrant", snapKey, []map[string]string{always, service, ec("vol-old"),
				{"kms:grantconstrainttype": "EncryptionContextSubset"}}},
		},
		"infrastructure: Decrypt X[vol-a]": {
			{"kms:Decrypt", resolve("X"), []map[string]string{always, infra, symmetric, ec("vol-a")}},
		},
	} {
		q, ok := reqs[name]
		if !ok {
			t.Errorf("no request %q among %v", name, slices.Collect(maps.Keys(reqs)))
			continue
		}
		parts := q.Parts()
		if len(parts) != len(want) {
			t.Errorf("%s has %d parts, want %d", name, len(parts), len(want))
			continue
		}
		for i, p := range parts {
			if p.Action != want[i].action || p.Resource.ARN != want[i].key || p.Resource.Account != "111122223333" || !p.Authoritative {
				t.Errorf("%s, part %d: %s on %+v", name, i, p.Action, p.Resource)
			}
			wantContext := map[string]string{}
			for _, m := range want[i].context {
				maps.Copy(wantContext, m)
			}
			if diff := cmp.Diff(wantContext, flat(t, p.Context)); diff != "" {
				t.Errorf("%s, part %d, context (-want +got):\n%s", name, i, diff)
			}
			if id := p.EncryptionContext[launch.ContextKey]; id != wantContext["kms:encryptioncontext:aws:ebs:id"] || len(p.EncryptionContext) != 1 {
				t.Errorf("%s, part %d, encryption context %v", name, i, p.EncryptionContext)
			}
		}
	}
}

func TestGrants(t *testing.T) {
	s := spec(launch.RunInstances, device("a", "encrypted own", new(true), "X"))
	reqs := requests(t, s)
	creation := authz.Grant{
		Grantee: "ebs.amazonaws.com", Retiring: "ec2.us-west-2.amazonaws.com", IssuingAccount: "111122223333",
		Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"aws:ebs:id": "vol-old"},
		SourceARN: "arn:aws:ec2:us-west-2:111122223333:volume/vol-a",
	}
	attach := creation
	attach.Grantee, attach.SourceARN = "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1", ""
	attach.ContextSubset = map[string]string{"aws:ebs:id": "vol-a"}
	for name, want := range map[string]authz.Grant{
		"caller: CreateGrant(source) 5a[vol-old]": creation,
		"caller: CreateGrant(attach) X[vol-a]":    attach,
	} {
		p := reqs[name].Parts()[0]
		if diff := cmp.Diff(&want, p.NewGrant); diff != "" || p.Target != nil {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	p := reqs["ec2: RetireGrant(source) 5a[vol-old]"].Parts()[0]
	if p.NewGrant != nil || p.Target == nil || p.Target.ID == "" || p.Target.Retiring != creation.Retiring {
		t.Errorf("RetireGrant: %+v", p)
	}
}

func TestPrincipals(t *testing.T) {
	q := launch.Request{KeyARN: ownKey, Account: "444455556666", Instance: "i-1"}
	if _, ok := q.Principal(); ok {
		t.Error("a request of nobody has a principal")
	}
	q.As = launch.Caller
	if _, ok := q.Principal(); ok {
		t.Error("the plan cannot know the caller")
	}
	for as, want := range map[launch.Actor]authz.Principal{
		launch.Infrastructure: {
			Type: authz.RoleSession, Account: "444455556666", UserID: "444455556666:aws:ec2-infrastructure:i-1",
			ARN:     "arn:aws:sts::444455556666:assumed-role/aws:ec2-infrastructure/i-1",
			RoleARN: "arn:aws:iam::444455556666:role/aws:ec2-infrastructure",
		},
		launch.EBS: {Type: authz.Service, ARN: "ebs.amazonaws.com"},
		launch.EC2: {Type: authz.Service, ARN: "ec2.us-west-2.amazonaws.com"},
	} {
		q.As = as
		if got, ok := q.Principal(); !ok || !cmp.Equal(want, got) {
			t.Errorf("%s: %s", as, cmp.Diff(want, got))
		}
	}
}

// TestCrossRegionCopy: a request belongs to the region of its key, as the policy of aws/ebs there demands.
func TestCrossRegionCopy(t *testing.T) {
	d := device("a", "encrypted own", new(true), "X")
	d.Source.KeyARN = strings.Replace(snapKey, "us-west-2", "eu-west-1", 1)
	reqs := requests(t, spec(launch.CopySnapshot, d))
	parts := reqs["caller: AuthorizeReEncrypt 5a[vol-old] -> X[vol-a]"].Parts()
	for i, want := range []string{"ec2.eu-west-1.amazonaws.com", "ec2.us-west-2.amazonaws.com"} {
		if got := flat(t, parts[i].Context)["kms:viaservice"]; got != want {
			t.Errorf("%s: kms:ViaService = %s, want %s", parts[i].Action, got, want)
		}
	}
	q := reqs["ec2: RetireGrant(source) 5a[vol-old]"]
	if p, _ := q.Principal(); p.ARN != q.Grant.Retiring || p.ARN != "ec2.eu-west-1.amazonaws.com" {
		t.Errorf("%s retires a grant of %s", p.ARN, q.Grant.Retiring)
	}
	if q.Grant.SourceARN != "arn:aws:ec2:us-west-2:111122223333:snapshot/vol-a" {
		t.Errorf("source ARN = %s", q.Grant.SourceARN)
	}
}

func TestDescribeKeyHasNoEncryptionContext(t *testing.T) {
	q := requests(t, spec(launch.CopySnapshot, device("a", "plain own", new(true), "X")))["caller: DescribeKey X"]
	p := q.Parts()[0]
	if p.Action != "kms:DescribeKey" || p.EncryptionContext != nil || flat(t, p.Context)["kms:encryptioncontextkeys"] != "" {
		t.Errorf("%+v", p)
	}
}

func TestRequestStringHidesPayload(t *testing.T) {
	q := launch.Request{Call: launch.Decrypt, As: launch.EBS, KeyARN: ownKey, Ciphertext: []byte("payload")}
	if got, want := q.String(), `Decrypt as ebs on "`+ownKey+`"`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	q.Call, q.Purpose = launch.CreateGrant, launch.ForAttach
	if got, want := q.String(), `CreateGrant as ebs on "`+ownKey+`" for attach`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}
