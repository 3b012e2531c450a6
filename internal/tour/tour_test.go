package tour_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/testkit"
	"github.com/kagimori/kagimori/internal/tour"
)

// play runs a tour against a server whose time moves as fast as the tour waits.
func play(t *testing.T, srv *testkit.Server) string {
	t.Helper()
	var out strings.Builder
	err := tour.Run(t.Context(), tour.Config{
		Endpoint: srv.URL, Out: &out, Patience: 5 * time.Minute,
		Pause: func(ctx context.Context, d time.Duration) error { return srv.App.Advance(ctx, 10*d) },
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// Both examples fail without the statements and the grant, launch with them, and say why. A
// second tour of the same server does the same.
func TestBothExamples(t *testing.T) {
	srv := testkit.Start(t, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	for _, visit := range []string{"first", "second"} {
		text := play(t, srv)
		for _, want := range []string{
			`Cancelled: Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState`,
			`(?s)Cancelled.*Why: kms:CreateGrant\n.*assumed-role/AWSServiceRoleForAutoScaling/AutoScaling`,
			`Fix: .*key policy`,
			`(?s)Successful: Launching a new EC2 instance: i-.*Allowed: kms:CreateGrant by .*: statement "Allow attachment of persistent resources"`,
			`\$ aws kms create-grant --region us-west-2 --key-id arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d ` +
				`--grantee-principal arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling ` +
				`--operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant`,
			`AccessDeniedException: User: .* because no identity-based policy allows the kms:CreateGrant action`,
			`Fix: .*Create a grant`,
			`GrantId [0-9a-f]{64}`,
			`Encrypted=true  KmsKeyId=arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d`,
		} {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s visit: nothing like %s", visit, want)
			}
		}
		if n := strings.Count(text, "Cancelled: "); n != 2 {
			t.Errorf("%s visit: %d launches failed; want one in each example", visit, n)
		}
		if n := strings.Count(text, "Successful: "); n != 2 {
			t.Errorf("%s visit: %d launches succeeded; want one in each example", visit, n)
		}
		if t.Failed() {
			t.Log(text)
		}
	}
}

func TestNoServer(t *testing.T) {
	err := tour.Run(t.Context(), tour.Config{Endpoint: "http://127.0.0.1:1", Out: new(strings.Builder)})
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without a server: %v", err)
	}
}

// A tour that may not write says so.
func TestOutputFails(t *testing.T) {
	srv := testkit.Start(t, testkit.Options{Logger: slog.New(slog.DiscardHandler)})
	full := errors.New("full")
	err := tour.Run(t.Context(), tour.Config{
		Endpoint: srv.URL, Out: failing{full}, Patience: 5 * time.Minute,
		Pause: func(ctx context.Context, d time.Duration) error { return srv.App.Advance(ctx, 10*d) },
	})
	if !errors.Is(err, full) {
		t.Errorf("Run: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
