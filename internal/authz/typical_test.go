package authz_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/casefile"
	"github.com/kagimori/kagimori/internal/policy"
)

// typical is what most requests to KMS are: a key policy of 10 statements, two identity policies,
// one level of SCPs, five grants.
func typical(t testing.TB) *authz.Request {
	t.Helper()
	line, err := os.ReadFile("../casefile/testdata/typical.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	c, err := casefile.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, c)
}

// manyStatements adds 200 statements to the key policy that cannot match: half of them are for
// others, half for other actions.
func manyStatements(t testing.TB, req *authz.Request) {
	t.Helper()
	src := *req.Parts[0].Policy.Source
	var more []string
	for i := range 100 {
		who := fmt.Sprintf(`"arn:aws:iam::111122223333:role/other-%d"`, i)
		more = append(more, `{"Effect":"Allow","Principal":{"AWS":`+who+`},"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Resource":"*"}`,
			fmt.Sprintf(`{"Effect":"Allow","Principal":"*","Action":"kms:Operation%d","Resource":"*"}`, i))
	}
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(more, ",")+`]}`), policy.Key)
	if err != nil {
		t.Fatal(err)
	}
	src.Statements = slices.Concat(src.Statements, doc.Statements)
	ids := map[string]string{}
	for i := range 100 {
		ids[fmt.Sprintf("arn:aws:iam::111122223333:role/other-%d", i)] = fmt.Sprintf("AROAOTHER%012d", i)
	}
	req.Parts[0].Policy = authz.Compile(&src, policy.Key)
	req.Parts[0].Policy.SetPrincipalIDs(ids)
}

// manyGrants adds 50,000 grants for others, as many as a key can have.
func manyGrants(req *authz.Request) {
	grants := slices.Clone(req.Parts[0].Grants)
	for i := range 50000 {
		grants = append(grants, authz.Grant{
			ID: fmt.Sprint(i), Grantee: fmt.Sprintf("arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-%017x", i),
			IssuingAccount: accountA, Operations: []string{"Decrypt"}, ContextSubset: map[string]string{"aws:ebs:id": fmt.Sprintf("vol-%017x", i)},
		})
	}
	req.Parts[0].Grants, req.Parts[0].GrantIndex = nil, authz.IndexGrants(grants)
}

// fastest is the time of one run of each function, in nanoseconds: the shortest of many short
// batches, taken in turns, so that what else runs on the machine counts little and for all alike.
func fastest(fns ...func()) []float64 {
	const batches, batch = 300, 200
	best := make([]float64, len(fns))
	for range batches {
		for i, fn := range fns {
			start := time.Now()
			for range batch {
				fn()
			}
			if t := float64(time.Since(start).Nanoseconds()) / batch; best[i] == 0 || t < best[i] {
				best[i] = t
			}
		}
	}
	return best
}

// byGrant is the typical request of a role that no policy allows, only one of the grants.
func byGrant(t testing.TB) *authz.Request {
	req := typical(t)
	p := &req.Principal
	p.ARN, p.RoleARN = "arn:aws:sts::111122223333:assumed-role/reports/s", "arn:aws:iam::111122223333:role/reports"
	p.UserID, p.UniqueID, req.Identity = "AROAREPORTSXXXXXXXXXX:s", "AROAREPORTSXXXXXXXXXX", nil
	key := *req.Parts[0].Policy.Source
	key.Statements = slices.DeleteFunc(slices.Clone(key.Statements), func(s policy.Statement) bool { return s.Sid == "Allow use of the key" })
	req.Parts[0].Policy = authz.Compile(&key, policy.Key)
	return req
}

func TestTheRequestByGrantNeedsIt(t *testing.T) {
	req := byGrant(t)
	if d := authz.Explain(req); d.Outcome != authz.Allowed || d.Parts[0].By != authz.LayerGrant {
		t.Errorf("%+v", d)
	}
	req.Parts[0].Grants = nil
	if d := authz.Decide(req); d.Outcome != authz.ImplicitDeny {
		t.Errorf("without grants: %+v", d)
	}
}

// BenchmarkTypical is the speed of decisions: of one of the typical request, and how many times as
// long it takes with what cannot match and explained, measured side by side; and of one that a grant
// allows, how many times as long if it is one of 50,000. Limits: 400 ns; 1.2; 1.2; 20; 1.2.
func BenchmarkTypical(b *testing.B) {
	req, statements, grants := typical(b), typical(b), typical(b)
	manyStatements(b, statements)
	manyGrants(grants)
	run := func(req *authz.Request, decide func(*authz.Request) authz.Decision) func() {
		return func() {
			if decide(req).Outcome != authz.Allowed {
				b.Fatal("denied")
			}
		}
	}
	fast := run(req, authz.Decide)
	b.ReportAllocs()
	for b.Loop() {
		fast()
	}
	granted, oneOfMany := byGrant(b), byGrant(b)
	manyGrants(oneOfMany)
	best := fastest(fast, run(statements, authz.Decide), run(grants, authz.Decide), run(req, authz.Explain),
		run(granted, authz.Decide), run(oneOfMany, authz.Decide))
	b.ReportMetric(best[0], "best-ns")
	b.ReportMetric(best[1]/best[0], "x-200-statements")
	b.ReportMetric(best[2]/best[0], "x-50000-grants")
	b.ReportMetric(best[3]/best[0], "x-explained")
	b.ReportMetric(best[5]/best[4], "x-by-1-of-50000-grants")
}

// longPolicy is a key policy of about 32 KB, as long as KMS takes.
func longPolicy() string {
	var statements []string
	for size := 0; size < 32000; size += len(statements[len(statements)-1]) + 1 {
		statements = append(statements, fmt.Sprintf(`{"Sid":"Use %d","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:role/app-%d","arn:aws:iam::444455556666:root"]},`+
			`"Action":["kms:Decrypt","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*","Condition":{"StringEquals":{"kms:ViaService":["s3.us-west-2.amazonaws.com"],`+
			`"kms:CallerAccount":"${aws:PrincipalAccount}"}}}`, len(statements), len(statements)))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// BenchmarkCompile is the time from the text of a long key policy to a document ready to decide
// with. Limit: 1 ms.
func BenchmarkCompile(b *testing.B) {
	src := longPolicy()
	b.Run("new", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			document(b, src, policy.Key)
		}
		b.ReportMetric(fastest(func() { document(b, src, policy.Key) })[0]/float64(time.Millisecond), "best-ms")
	})
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		cache := authz.NewCache(10)
		for b.Loop() {
			if _, err := cache.Document(src, policy.Key); err != nil {
				b.Fatal(err)
			}
		}
	})
}
