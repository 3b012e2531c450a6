package rate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagimori/kagimori/internal/rate"
)

// A bucket gives its burst at once, then as much as comes back; others have their own.
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := rate.New(nil)
		a := rate.Asker{Account: "111122223333", Region: "us-east-1"}
		limit := rate.Limit{PerSecond: 2, Burst: 5}
		taken := func(who rate.Asker) (n int) {
			for range 100 {
				if _, ok := l.Take(who, "q", limit); ok {
					n++
				}
			}
			return n
		}
		if n := taken(a); n != 5 {
			t.Errorf("a full bucket gave %d of 5", n)
		}
		if wait, ok := l.Take(a, "q", limit); ok || wait != 500*time.Millisecond {
			t.Errorf("an empty one: %v, wait %v", ok, wait)
		}
		for _, other := range []rate.Asker{{Account: "444455556666", Region: "us-east-1"}, {Account: "111122223333", Region: "eu-west-1"}} {
			if n := taken(other); n != 5 {
				t.Errorf("%v: %d of 5", other, n)
			}
		}
		if _, ok := l.Take(a, "another", limit); !ok {
			t.Error("another quota is empty too")
		}
		time.Sleep(500 * time.Millisecond)
		if n := taken(a); n != 1 {
			t.Errorf("half a second later: %d of 1", n)
		}
		time.Sleep(time.Hour)
		if n := taken(a); n != 5 {
			t.Errorf("an hour later: %d of 5", n)
		}
	})
}

// What is given does not depend on how many ask at once.
func TestBucketConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := rate.New(nil)
		var given atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range 20 {
					if _, ok := l.Take(rate.Asker{Account: "1"}, "q", rate.Limit{PerSecond: 10, Burst: 100}); ok {
						given.Add(1)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		// 1.9 s pass between the first and the last.
		if n := given.Load(); n != 119 {
			t.Errorf("%d of 119", n)
		}
	})
}

// Askers without number do not fill the memory.
func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := rate.New(nil)
		for i := range 200_000 {
			l.Take(rate.Asker{Account: fmt.Sprint(i)}, "q", rate.Limit{PerSecond: 1, Burst: 1})
		}
		if n := l.Buckets(); n > 16*4096 || n < 1000 {
			t.Errorf("%d buckets", n)
		}
	})
}

func TestQuotas(t *testing.T) {
	aws, high := rate.Quotas{Mode: rate.AWS}, rate.Quotas{Mode: rate.High}
	set := rate.Quotas{Mode: rate.AWS, Set: map[string]rate.Limit{
		"kms:CreateKey": {PerSecond: 1, Burst: 2}, "kms:cryptographic": {PerSecond: 3, Burst: 3}, "iam:*": {PerSecond: 4, Burst: 4},
	}}
	for _, tt := range []struct {
		name  string
		q     rate.Quotas
		c     rate.Call
		quota string
		limit rate.Limit
	}{
		{"crypto", aws, rate.Call{Service: "kms", Operation: "Decrypt", Region: "us-east-1"}, "kms:cryptographic", rate.Limit{PerSecond: 100000, Burst: 100000}},
		{"crypto elsewhere", aws, rate.Call{Service: "kms", Operation: "Encrypt", Region: "sa-east-1"}, "kms:cryptographic", rate.Limit{PerSecond: 10000, Burst: 10000}},
		{"RSA", aws, rate.Call{Service: "kms", Operation: "Encrypt", Spec: "RSAES_OAEP_SHA_256"}, "kms:rsa", rate.Limit{PerSecond: 1000, Burst: 1000}},
		{"ECC", aws, rate.Call{Service: "kms", Operation: "Sign", Spec: "ECDSA_SHA_256"}, "kms:ecc", rate.Limit{PerSecond: 1000, Burst: 1000}},
		{"control plane", aws, rate.Call{Service: "kms", Operation: "CreateKey"}, "kms:CreateKey", rate.Limit{PerSecond: 5, Burst: 5}},
		{"rare", aws, rate.Call{Service: "kms", Operation: "GenerateDataKeyPair", Spec: "RSA_4096"}, "kms:GenerateDataKeyPair(RSA_4096)", rate.Limit{PerSecond: 0.1, Burst: 1}},
		{"EC2 reads", aws, rate.Call{Service: "ec2", Operation: "DescribeInstances", ReadOnly: true}, "ec2:DescribeInstances", rate.Limit{PerSecond: 20, Burst: 100}},
		{"EC2 writes", aws, rate.Call{Service: "ec2", Operation: "CreateTags"}, "ec2:CreateTags", rate.Limit{PerSecond: 5, Burst: 50}},
		{"launches", aws, rate.Call{Service: "ec2", Operation: "RunInstances"}, "ec2:RunInstances", rate.Limit{PerSecond: 2, Burst: 5}},
		{"STS", aws, rate.Call{Service: "sts", Operation: "AssumeRole"}, "sts:requests", rate.Limit{PerSecond: 600, Burst: 600}},
		{"high", high, rate.Call{Service: "kms", Operation: "CreateKey"}, "kms:CreateKey", rate.Limit{PerSecond: 100, Burst: 1000}},
		{"high launches", high, rate.Call{Service: "ec2", Operation: "DescribeVolumes", ReadOnly: true}, "ec2:DescribeVolumes", rate.Limit{PerSecond: 200, Burst: 1000}},
		{"off", rate.Quotas{Mode: rate.Off}, rate.Call{Service: "kms", Operation: "CreateKey"}, "kms:CreateKey", rate.Limit{}},
		{"set", set, rate.Call{Service: "kms", Operation: "CreateKey"}, "kms:CreateKey", rate.Limit{PerSecond: 1, Burst: 2}},
		{"set, shared", set, rate.Call{Service: "kms", Operation: "Decrypt"}, "kms:cryptographic", rate.Limit{PerSecond: 3, Burst: 3}},
		{"set, service", set, rate.Call{Service: "iam", Operation: "GetUser"}, "iam:GetUser", rate.Limit{PerSecond: 4, Burst: 4}},
	} {
		if quota, l := tt.q.For(tt.c); quota != tt.quota || l != tt.limit {
			t.Errorf("%s: %s %v, want %s %v", tt.name, quota, l, tt.quota, tt.limit)
		}
	}
}

func TestParseSet(t *testing.T) {
	for text, want := range map[string]rate.Limit{
		"kms:CreateKey=5": {PerSecond: 5, Burst: 5}, "ec2:RunInstances=2/50": {PerSecond: 2, Burst: 50}, "iam:*=0.5": {PerSecond: 0.5, Burst: 0.5}, "kms:rsa=0": {},
	} {
		if _, l, err := rate.ParseSet(text); err != nil || l != want {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
	for _, text := range []string{"", "kms", "kms:CreateKey", "kms:CreateKey=", "kms:CreateKey=-1", "kms:CreateKey=NaN", "kms:CreateKey=1/x", "=1", "kms=1", ":x=1", "kms:=1", "kms:a b=1", "kms:x=Inf"} {
		if q, l, err := rate.ParseSet(text); err == nil {
			t.Errorf("%q: %s %v", text, q, l)
		}
	}
}
