package explain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/policy"
)

// What a refusal costs beside its decision: the search for fixes, with a key policy near KMS's limit
// of 32 KB.
func BenchmarkAdvise(b *testing.B) {
	for _, n := range []int{0, 150} {
		b.Run(fmt.Sprintf("%d statements more", n), func(b *testing.B) {
			var src strings.Builder
			src.WriteString(`{"Version":"2012-10-17","Statement":[` + rootG)
			for i := range n {
				src.WriteString(fmt.Sprintf(`,{"Sid":"S%d","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/other-%d"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"x"}}}`, i, i))
			}
			doc, err := policy.Parse([]byte(src.String()+"]}"), policy.Key)
			if err != nil {
				b.Fatal(err)
			}
			key := authz.Compile(doc, policy.Key)
			key.Name, key.Owner = keyG, "123456789012"
			req := &authz.Request{Principal: slr("123456789012", roleG), Context: viaEC2(), Parts: []authz.Part{{
				Action: generate, Resource: authz.Resource{ARN: keyG, Account: "123456789012"}, Authoritative: true, Policy: key,
			}}}
			d := authz.Explain(req)
			b.ReportMetric(float64(len(src.String()))/1024, "KB")
			for b.Loop() {
				if fixes, _ := explain.Advise(req, d); len(fixes) == 0 {
					b.Fatal("no fixes")
				}
			}
		})
	}
}
