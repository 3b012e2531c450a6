package doctor_test

import (
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/speech"
)

func said(texts []speech.Text) string { return strings.Join(speech.All(speech.English, texts), "\n") }

// TestLater: what hangs by a grant, a new volume that would be refused, a role that is made again.
func TestLater(t *testing.T) {
	const start = "030-scheduler-start"
	startOnly := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:role/SchedulerRole"},"Action":"kms:CreateGrant","Resource":"*"}]}`
	tests := []struct {
		name, later, notes string
		r                  *doctor.Report
	}{
		{"one grant", "later-grant: only grant made by the setup on arn:aws:kms:us-west-2:444455556666:key/", "", doctor.Check(variant(t, "004-cross-account-grant"))},
		{"a start without a new volume", "later-replace: arn:aws:iam::210987654321:role/SchedulerRole can start ", "later-recreate: if arn:aws:iam::210987654321:role/SchedulerRole is deleted", doctor.Check(variant(t, start, "/keys/0/policy", startOnly))},
		{"a role made again", "", "later-recreate: if arn:aws:iam::210987654321:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling is deleted", doctor.Check(variant(t, "001-example1-two-volumes"))},
		{"AWS's own key", "", "", doctor.Check(variant(t, "002-default-on-aws-managed-key"))},
		{"nothing launches yet", "", "", doctor.Check(variant(t, "017-cross-account-no-grant"))},
	}
	for _, tt := range tests {
		if got := said(tt.r.Later); !strings.HasPrefix(got, tt.later) || (got == "") != (tt.later == "") {
			t.Errorf("%s: %q, want %q; %s", tt.name, got, tt.later, tt.r.Verdict)
		}
		if got := said(tt.r.Notes); !strings.Contains(got, tt.notes) || tt.notes == "" && strings.Contains(got, "later-recreate") {
			t.Errorf("%s: notes %q, want %q", tt.name, got, tt.notes)
		}
		if strings.Contains(said(tt.r.Warnings), "later-") {
			t.Errorf("%s: warnings %q", tt.name, said(tt.r.Warnings))
		}
	}
}

// TestListedPrincipalsAreKnown although there may be others.
func TestListedPrincipalsAreKnown(t *testing.T) {
	unknown := []string{"/unknown", `{"/principals":"only some could be read"}`}
	if r := doctor.Check(variant(t, "004-cross-account-grant", unknown...)); r.Verdict != "launches" {
		t.Errorf("with its principals listed it %s: %q", r.Verdict, r.Depends)
	}
	if r := doctor.Check(variant(t, "021-grantee-does-not-exist", unknown...)); r.Verdict != "cannot-tell" {
		t.Errorf("with a grantee that is not listed it %s: %q", r.Verdict, r.Depends)
	}
}

// TestWarningsOfWideStatements are given whatever the verdict.
func TestWarningsOfWideStatements(t *testing.T) {
	for rule, statement := range map[string]string{
		"anyone":                  `{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`,
		"key-administration":      `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"kms:*","Resource":"*"}`,
		"grant-condition-missing": `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"},"Action":"kms:CreateGrant","Resource":"*"}`,
	} {
		r := doctor.Check(variant(t, "001-example1-two-volumes", "/keys/0/policy/Statement/0", statement))
		if !strings.Contains(said(r.Warnings), rule+": ") {
			t.Errorf("%s: %q", rule, said(r.Warnings))
		}
	}
}
