package authz_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/policy"
)

func numbered(i int) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"S%d","Effect":"Allow","Action":"*","Resource":"*"}]}`, i)
}

func cached(t *testing.T, c *authz.Cache, text string, kind policy.Kind) *authz.Document {
	t.Helper()
	d, err := c.Document(text, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADocumentIsCompiledOnceForAllThatHaveIt(t *testing.T) {
	c := authz.NewCache(10)
	a, b := cached(t, c, numbered(1), policy.Identity), cached(t, c, numbered(1), policy.Identity)
	if found, compiled := c.Stats(); found != 1 || compiled != 1 {
		t.Errorf("%d found, %d compiled", found, compiled)
	}
	a.Name = "mine"
	a.SetPrincipalIDs(map[string]string{alice: aliceID})
	if b.Name != "" || b.PrincipalIDs() != nil || cached(t, c, numbered(1), policy.Identity).Name != "" {
		t.Error("the name that one holder gave shows at another")
	}
	cached(t, c, numbered(1), policy.SCP)
	if _, compiled := c.Stats(); compiled != 2 {
		t.Error("documents of two kinds are one")
	}
}

func TestACacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	const limit = 10
	c := authz.NewCache(limit)
	for i := range 20 * limit {
		cached(t, c, numbered(i), policy.Identity)
		cached(t, c, numbered(0), policy.Identity) // used again and again
	}
	_, before := c.Stats()
	if before != 20*limit {
		t.Errorf("%d compiled of %d: what was used was compiled again", before, 20*limit)
	}
	for i := range 20 * limit {
		cached(t, c, numbered(i), policy.Identity)
	}
	if _, after := c.Stats(); after-before < 20*limit-2*limit {
		t.Errorf("more than %d documents were kept", 2*limit)
	}
}

func TestABadDocumentIsNotRemembered(t *testing.T) {
	c := authz.NewCache(10)
	for range 2 {
		if d, err := c.Document(`{"Statement":[{"Effect":"Perhaps"}]}`, policy.Identity); err == nil || d != nil {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if found, _ := c.Stats(); found != 0 {
		t.Error("an error was remembered")
	}
}

func TestACacheMayBeUsedConcurrently(t *testing.T) {
	c := authz.NewCache(4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				if d, err := c.Document(numbered(i%12), policy.Identity); err != nil || d.Source.Statements[0].Sid != fmt.Sprintf("S%d", i%12) {
					t.Errorf("%+v, %v", d, err)
				}
			}
		})
	}
	wg.Wait()
}

// A renamed user is meant by the ARN that it had when the document was saved, however many
// statements there are.
func TestARenamedUserIsFoundAmongManyStatements(t *testing.T) {
	req := typical(t)
	req.Principal = authz.Principal{Type: authz.User, ARN: alice, Account: accountA, UniqueID: aliceID, OrgID: "o-abcdefghij"}
	req.Identity, req.SCPs = nil, nil
	manyStatements(t, req)
	if d := authz.Decide(req); d.Outcome != authz.ImplicitDeny {
		t.Fatalf("%+v", d)
	}
	req.Parts[0].Policy.SetPrincipalIDs(map[string]string{"arn:aws:iam::111122223333:role/other-7": aliceID})
	if d := authz.Decide(req); d.Outcome != authz.Allowed {
		t.Errorf("%+v", authz.Explain(req))
	}
}
