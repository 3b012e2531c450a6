package directory_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/store"
)

func (k *kit) putPolicy(name string) directory.ManagedPolicy {
	k.t.Helper()
	p := directory.ManagedPolicy{
		Account: account, Name: name, Path: "/", ID: directory.NewID("ANPA"), Default: "v1",
		Versions: []directory.PolicyVersion{{ID: "v1", Document: allowX}},
	}
	k.update(func(tx store.Tx) error { return k.PutPolicy(tx, p) })
	return p
}

// session is the identity of a session of a role.
func (k *kit) session(r directory.Role, change func(*directory.SessionGrant)) directory.Identity {
	k.t.Helper()
	c := k.issue(r, change)
	_, id, err := k.Lookup(k.t.Context(), c.AccessKeyID, c.Token.Reveal())
	if err != nil {
		k.t.Fatal(err)
	}
	return id
}

func TestDocumentsOfARole(t *testing.T) {
	k := newKit(t, false)
	own, limit := k.putPolicy("own"), k.putPolicy("limit")
	const readOnly = "arn:aws:iam::aws:policy/PowerUserAccess"
	r := k.putRole(directory.Role{
		Name: "deployer", Inline: map[string]string{"b": allowX, "c": allowX, "a": allowX}, Attached: []string{own.ARN(), readOnly}, Boundary: limit.ARN(),
	})
	docs, err := k.documents(k.session(r, nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", own.ARN(), readOnly}, names(docs.Identity)); diff != "" {
		t.Error(diff)
	}
	if docs.Boundary == nil || docs.Boundary.Name != limit.ARN() || docs.Boundary.Owner != account {
		t.Errorf("boundary = %+v", docs.Boundary)
	}
	if docs.Session != nil {
		t.Errorf("a session without policies has %v; nil does not limit", names(docs.Session))
	}
	if a := docs.Identity[0]; a.Attached != r.ARN() || a.Owner != account {
		t.Errorf("inline policy = %+v", a)
	}
}

func TestEmptySessionPolicyIsNotNone(t *testing.T) {
	k := newKit(t, false)
	id := k.session(k.putRole(directory.Role{Name: "deployer"}), func(g *directory.SessionGrant) { g.HasPolicies = true })
	docs, err := k.documents(id)
	if err != nil || docs.Session == nil || len(docs.Session) != 0 {
		t.Errorf("session policies = %v, %v; want an empty list, which allows nothing", docs.Session, err)
	}
}

func TestDocumentsFollowTheRecord(t *testing.T) {
	k := newKit(t, false)
	p := k.putPolicy("own")
	r := k.putRole(directory.Role{Name: "deployer", Attached: []string{p.ARN()}})
	id := k.session(r, nil)
	text := func() string {
		docs, err := k.documents(id)
		if err != nil || len(docs.Identity) != 1 {
			t.Fatalf("documents = %+v, %v", docs, err)
		}
		return string(docs.Identity[0].Source.Source)
	}
	if got := text(); got != allowX {
		t.Errorf("document = %s", got)
	}
	next := strings.ReplaceAll(allowX, "Encrypt", "Decrypt")
	p.Versions = append(p.Versions, directory.PolicyVersion{ID: "v2", Document: next})
	p.Default = "v2"
	k.update(func(tx store.Tx) error { return k.PutPolicy(tx, p) })
	if got := text(); got != next {
		t.Errorf("after the default version changed: %s", got)
	}
}

func TestDocumentsOfTheNamesakeAreNotGiven(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "deployer"})
	id := k.session(r, nil)
	k.update(func(tx store.Tx) error { return k.DeleteRole(tx, r) })
	k.putRole(directory.Role{Name: "deployer", Inline: map[string]string{"a": allowX}})
	docs, err := k.documents(id)
	if err != nil || len(docs.Identity) != 0 {
		t.Errorf("the old session has %v, %v", names(docs.Identity), err)
	}
}

func TestPoliciesThatAreGoneFailTheCall(t *testing.T) {
	for name, r := range map[string]directory.Role{
		"attached":                        {Name: "deployer", Attached: []string{"arn:aws:iam::111122223333:policy/gone"}},
		"boundary":                        {Name: "deployer", Boundary: "arn:aws:iam::111122223333:policy/gone"},
		"of the name at a different path": {Name: "deployer", Attached: []string{"arn:aws:iam::111122223333:policy/elsewhere/own"}},
		"of AWS":                          {Name: "deployer", Attached: []string{"arn:aws:iam::aws:policy/NoSuchPolicy"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, false)
			k.putPolicy("own")
			if docs, err := k.documents(k.session(k.putRole(r), nil)); err == nil {
				t.Errorf("documents = %+v; a policy that may deny was left out", docs)
			}
		})
	}
}

func TestNoDocumentsHangOnServicesAndTheInfrastructureRole(t *testing.T) {
	k := newKit(t, true)
	k.putRole(directory.Role{Name: "aws:ec2-infrastructure", Inline: map[string]string{"a": allowX}})
	for _, id := range []directory.Identity{
		directory.ServiceIdentity("ebs.amazonaws.com"),
		k.InfrastructureIdentity(account, "us-west-2", "i-1"),
	} {
		if docs, err := k.documents(id); err != nil || len(docs.Identity) != 0 || docs.Boundary != nil || docs.Session != nil {
			t.Errorf("%s: %+v, %v", id.Principal.ARN, docs, err)
		}
	}
	id := k.InfrastructureIdentity(account, "us-west-2", "i-1")
	if id.Principal.ARN != "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-1" ||
		id.Session.Instance != "arn:aws:ec2:us-west-2:111122223333:instance/i-1" {
		t.Errorf("identity = %+v", id)
	}
}

func TestTrustPolicyKeepsTheIDsOfItsPrincipals(t *testing.T) {
	k := newKit(t, false)
	r := k.putRole(directory.Role{Name: "deployer", TrustIDs: map[string]string{"arn:aws:iam::111122223333:user/ana": "AIDAAAAAAAAAAAAAAAAAA"}})
	k.view(func(tx store.Tx) error {
		doc, err := k.TrustPolicy(tx, account, "Deployer")
		if err != nil || doc == nil || doc.Name != r.ARN() {
			t.Fatalf("TrustPolicy = %+v, %v", doc, err)
		}
		if diff := cmp.Diff(r.TrustIDs, doc.PrincipalIDs()); diff != "" {
			t.Error(diff)
		}
		if doc, err := k.TrustPolicy(tx, account, "nobody"); doc != nil || err != nil {
			t.Errorf("of a missing role: %+v, %v", doc, err)
		}
		return nil
	})
}
