package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/store/bolt"
	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// slack is what a read of IAM may take beside 1.5 times the bare handler, in nanoseconds.
const slack = 200_000

// BenchmarkIAM compares writes with a bare commit of the store and a request to the bare handler, one after the
// other, and reads with the bare handler and 200 µs: metric "x-limit", which should be 1.5 at most. Both of a pair
// run in turns where the disk decides.
func BenchmarkIAM(b *testing.B) {
	srv := testkit.Start(b, testkit.Options{Durable: true, Logger: slog.New(slog.DiscardHandler)})
	who := srv.As(testkit.Admin(account))
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(b.TempDir(), "bare.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	none := newClient(b, bare(b))
	doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}`
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`
	testkit.Must(who.IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("app"), AssumeRolePolicyDocument: &trust})
	n := 0
	measure := func(name string, do func(context.Context) error) float64 {
		var each float64
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			serial(b, func() error { return do(ctx) })
			each = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
		})
		return each
	}
	request := func(ctx context.Context) error {
		return none.Do(ctx, "ListKeys", &kmsapi.ListKeysRequest{}, &kmsapi.ListKeysResponse{})
	}
	commit := func(ctx context.Context) error {
		n++
		return errors.Join(request(ctx), st.Update(ctx, func(tx store.Tx) error { return tx.Put("bench", fmt.Sprint(n), []byte(doc)) }))
	}
	handler := measure("bare", request)
	cases := []struct {
		name  string
		write bool
		c     *client.Client
		op    string
		in    func() any
		out   any
	}{
		{"GetRole", false, who.IAM.Client, "GetRole", func() any { return &iamapi.GetRoleRequest{RoleName: new("app")} }, &iamapi.GetRoleResponse{}},
		{"ListUsers", false, who.IAM.Client, "ListUsers", func() any { return &iamapi.ListUsersRequest{MaxItems: new(int32(10))} }, &iamapi.ListUsersResponse{}},
		{"AssumeRole", false, who.STS.Client, "AssumeRole", func() any {
			return &stsapi.AssumeRoleRequest{RoleArn: new("arn:aws:iam::" + account + ":role/app"), RoleSessionName: new("bench")}
		}, &stsapi.AssumeRoleResponse{}},
		{"CreateUser", true, who.IAM.Client, "CreateUser", func() any { n++; return &iamapi.CreateUserRequest{UserName: new(fmt.Sprint("u", n))} }, &iamapi.CreateUserResponse{}},
		{"PutRolePolicy", true, who.IAM.Client, "PutRolePolicy", func() any {
			return &iamapi.PutRolePolicyRequest{RoleName: new("app"), PolicyName: new("p"), PolicyDocument: &doc}
		}, nil},
	}
	for _, bc := range cases {
		b.Run(bc.name, func(b *testing.B) {
			ctx := b.Context()
			limit, do := handler+slack, func() error { return bc.c.Do(ctx, bc.op, bc.in(), bc.out) }
			if bc.write {
				limit = inTurns(b, do, func() error { return commit(ctx) })
			} else {
				serial(b, do)
			}
			if each := float64(b.Elapsed().Nanoseconds()) / float64(b.N); bc.write || handler > 0 {
				b.ReportMetric(each/limit, "x-limit")
				b.ReportMetric(limit, "limit-ns/op")
			}
		})
	}
}

// inTurns measures do, and other in between for as long, because a disk is not equally fast all the
// time. It returns what one call of other takes, in nanoseconds.
func inTurns(b *testing.B, do, other func() error) float64 {
	b.Helper()
	const turn = 25
	var took time.Duration
	n := 0
	for i := 0; b.Loop(); i++ {
		if i%turn == 0 {
			b.StopTimer()
			start := time.Now()
			for range turn {
				if err := other(); err != nil {
					b.Fatal(err)
				}
			}
			took += time.Since(start)
			n += turn
			b.StartTimer()
		}
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(took.Nanoseconds()) / float64(n)
}
