package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
)

// variant is a scenario with changes: path and value by turns.
func variant(t *testing.T, id string, changes ...string) *scenario.Scenario {
	t.Helper()
	sc, err := scenario.Parse(files(t)[id])
	if err != nil {
		t.Fatal(err)
	}
	var patch []scenario.Edit
	for i := 0; i < len(changes); i += 2 {
		patch = append(patch, scenario.Edit{Op: "add", Path: changes[i], Value: scenario.Value(changes[i+1])})
	}
	if sc, err = sc.Patched(patch); err != nil {
		t.Fatal(err)
	}
	return sc
}

// TestWhatIsExpectedWronglyIsFound changes one expectation at a time.
func TestWhatIsExpectedWronglyIsFound(t *testing.T) {
	const id = "013-first-statement-only"
	tests := []struct{ path, value, found string }{
		{"/expected/failures/0/rule", `"not-in-key-policy"`, "rule (-want +got)"},
		{"/expected/failures/0/step", `"create-volume"`, "step (-want +got)"},
		{"/expected/failures/0/actions", `["kms:Decrypt"]`, "the refused action is kms:CreateGrant"},
		{"/expected/failures/0/principal", `"arn:aws:iam::111122223333:role/other"`, "principal (-want +got)"},
		{"/expected/failures/0/key", `"arn:aws:kms:us-west-2:111122223333:key/6f708192-a3b4-4f70-9182-a3b46f708123"`, "key (-want +got)"},
		{"/expected/failures/0/device", `"/dev/sdz"`, "the refused key is that of [/dev/xvda]"},
		{"/expected/failures/0/template", `"other"`, `"w" launched: false, expected failures: 0`},
		{"/expected/symptom/activityStatusCode", `"Failed"`, "status of the activity"},
		{"/expected/symptom/instanceEndsAs", `"stopped"`, "state of the instance"},
		{"/expected/symptom/stateReasonMessages", `["Server.InternalError"]`, "the instance's reason is"},
		{"/expected/fix/patch", `[]`, "with fix 0: it still does not launch"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			found := strings.Join(play(t, variant(t, id, tt.path, tt.value)), "\n")
			if !strings.Contains(found, tt.found) {
				t.Errorf("found:\n%s\nwant %s", found, tt.found)
			}
		})
	}
	t.Run("volumes", func(t *testing.T) {
		found := strings.Join(play(t, variant(t, "001-example1-two-volumes", "/expected/volumes/0/key", `null`)), "\n")
		if !strings.Contains(found, "volumes of web (-want +got)") {
			t.Errorf("found:\n%s", found)
		}
	})
	t.Run("setup", func(t *testing.T) {
		found := strings.Join(play(t, variant(t, "035-policy-lock-out", "/expected/setup/0/error", `"AccessDeniedException"`)), "\n")
		if !strings.Contains(found, "setup 0 (-want +got)") {
			t.Errorf("found:\n%s", found)
		}
	})
}

// TestVariantsThatTheScenariosLack are worlds that the format can describe and no shared scenario
// does.
func TestVariantsThatTheScenariosLack(t *testing.T) {
	const guardRCP = `[{"name":"guard","policy":{"Version":"2012-10-17","Statement":[{"Sid":"DenyGrants","Effect":"Deny","Principal":"*","Action":"kms:CreateGrant","Resource":"*"}]}}]`
	tests := []struct {
		name string
		sc   *scenario.Scenario
	}{
		{"a resource control policy denies", variant(t, "028-scp-deny-human", "/accounts/0/scps", `[]`, "/accounts/0/rcps", guardRCP,
			"/expected/failures/0/rule", `"explicit-deny-rcp"`,
			"/expected/fix/patch/0/path", `"/accounts/0/rcps/0/policy/Statement/0/Condition"`)},
		{"a grant was retired", variant(t, "032-grant-revoked", "/keys/0/grants/0/status", `"retired"`,
			"/expected/failures/0/rule", `"grant-retired"`)},
		{"a grant was issued by the other account", variant(t, "018-grant-without-create-grant", "/keys/0/grants/0/issuingAccount", `"111122223333"`)},
		{"the root user of the account makes the setup", variant(t, "035-policy-lock-out", "/setup/0/as", `"arn:aws:iam::210987654321:root"`,
			"/expected/failures/0/principal", `"arn:aws:iam::210987654321:root"`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range play(t, tt.sc) {
				t.Error(p)
			}
		})
	}
}

// TestVolumesThatAreCreatedDirectly fail without a trace but the absence of the volume.
func TestVolumesThatAreCreatedDirectly(t *testing.T) {
	sc := variant(t, "037-boundary-hides-kms", "/launch/operation", `"CreateVolume"`, "/launch/templates/0/kind", `"volume"`)
	for fixed := range 2 {
		s := testkit.Start(t, testkit.Options{})
		if fixed == 1 {
			var err error
			if sc, err = sc.Patched(sc.Expected.Fix.Patch); err != nil {
				t.Fatal(err)
			}
		}
		_, attempts, err := perform(t, s, sc)
		if err != nil {
			t.Fatal(err)
		}
		if a := attempts[0]; a.Launched != (fixed == 1) || a.Refused != nil || len(a.Volumes) != fixed {
			t.Errorf("fixed %d: %+v", fixed, a)
		}
	}
}

func TestLoadFailsPlainly(t *testing.T) {
	const id = "012-default-key-policy"
	tests := []struct {
		name, path, value string
		want              error
	}{
		{"unique id", "/principals/0/id", `"AROAEXAMPLE"`, scenario.ErrUnable},
		{"organization", "/accounts/0/org", `"o-elsewhere00"`, scenario.ErrUnable},
		{"a state that cannot be brought about", "/keys/0/state", `"Unavailable"`, scenario.ErrUnable},
		{"an AWS managed key without its alias", "/keys/0/manager", `"AWS"`, scenario.ErrUnable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testkit.Start(t, testkit.Options{})
			if _, err := scenario.Load(t.Context(), config(t, s), variant(t, id, tt.path, tt.value)); !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, other := range []string{id, "040-identity-deny", "028-scp-deny-human"} {
		t.Run(fmt.Sprint(other, " twice"), func(t *testing.T) {
			s := testkit.Start(t, testkit.Options{})
			sc := variant(t, other)
			if _, _, err := perform(t, s, sc); err != nil {
				t.Fatal(err)
			}
			if _, err := scenario.Load(t.Context(), config(t, s), sc); !errors.Is(err, scenario.ErrExists) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestScenariosOfOneAccountShareAServer in different regions: the service-linked role is there
// already when the second comes.
func TestScenariosOfOneAccountShareAServer(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	for _, id := range []string{"012-default-key-policy", "036-one-of-two-keys"} {
		sc := variant(t, id)
		w, attempts, err := perform(t, s, sc)
		if err != nil {
			t.Fatal(err)
		}
		j := judge{t: t, server: s, world: w, want: *sc.Expected}
		for _, p := range j.compare(attempts) {
			t.Error(p)
		}
	}
}

func TestWaitingEnds(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	cfg := config(t, s)
	cfg.Pause = func(context.Context, time.Duration) error { return nil } // no time passes
	if _, err := scenario.Load(t.Context(), cfg, variant(t, "012-default-key-policy")); !errors.Is(err, scenario.ErrWait) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Pause = nil
	cfg.Out = stopper{cancel}
	if _, err := scenario.Load(ctx, cfg, variant(t, "040-identity-deny")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A stopper calls off what tells of itself.
type stopper struct{ stop func() }

func (s stopper) Write(p []byte) (int, error) { s.stop(); return len(p), nil }
