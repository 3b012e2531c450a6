package scenario_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
)

// TestWhatIsMadeAndWhatCameOfItIsTold compares lines of what a user reads.
func TestWhatIsMadeAndWhatCameOfItIsTold(t *testing.T) {
	tests := []struct {
		name  string
		sc    *scenario.Scenario
		err   error
		lines []string
	}{
		{"launched", variant(t, "001-example1-two-volumes"), nil, []string{
			"group web of 2", "web: launched", " on /dev/sdf under arn:aws:kms:us-west-2:210987654321:key/", "It launches, as the scenario expects.",
			"    aws ec2 create-volume --region us-west-2 --availability-zone us-west-2a --size 1   # as admin of 210987654321",
			"    aws ec2 register-image --region us-west-2 --name '001-example1-two-volumes ami-0plain1' --architecture x86_64 --root-device-name /dev/xvda",
		}},
		{"the key refuses", variant(t, "013-first-statement-only"), nil, []string{
			"web: Cancelled: ", "    Refused: CreateGrant: AccessDeniedException", " asked for kms:CreateGrant on ", "    Fix: ",
			"It does not launch, as the scenario expects. Its fix: Add the CreateGrant statement.",
		}},
		{"two fixes", variant(t, "012-default-key-policy"), nil, []string{
			"Its fix: Add the two statements for AWSServiceRoleForAutoScaling; or: Create a grant for the role.",
		}},
		{"a step is refused", variant(t, "019-create-grant-condition-blocks-admin"), nil, []string{
			"setup 1: kms:CreateGrant by arn:aws:iam::111122223333:role/ci is refused: AccessDeniedException: ",
			"    aws sts assume-role --region eu-west-2 --role-arn arn:aws:iam::111122223333:role/ci --role-session-name scenario   # as admin of 111122223333",
			"   # as arn:aws:iam::111122223333:role/ci",
		}},
		{"the group is refused", variant(t, "033-key-id-without-encrypted"), nil, []string{"web: CreateAutoScalingGroup is refused: ValidationError: "}},
		{"an attachment is refused", variant(t, "031-attach-without-create-grant"), nil, []string{
			": AttachVolume is refused: CustomerKeyHasBeenRevoked: ", "    Refused: CreateGrant: AccessDeniedException",
		}},
		{"an instance stays stopped", variant(t, "030-scheduler-start"), nil, []string{
			": stopped: Client.InvalidKMSKey.InvalidState", "    aws ec2 start-instances --region us-west-2 --instance-ids i-",
		}},
		{"nobody may say why", variant(t, "039-scp-allow-list-without-kms"), nil, []string{
			"SERVICE_CONTROL_POLICY allow on 111122223333", "cml: terminated: Client.InvalidKMSKey.InvalidState", "    Nobody says why: ExplainResource by admin of 111122223333: AccessDeniedException: ",
			"    aws organizations detach-policy --region us-east-1 --policy-id p-FullAWSAccess --target-id 111122223333   # as admin of 000000000000",
		}},
		{"expected to launch", variant(t, "012-default-key-policy", "/expected", `{"launches":true,"volumes":[],"failures":[],"symptom":null,"fix":null,"warnings":[]}`),
			scenario.ErrSurprise, []string{"web: Cancelled: "}},
		{"nothing expected", variant(t, "012-default-key-policy", "/expected", `null`), nil, []string{"The scenario does not say what must happen."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			cfg := config(t, testkit.Start(t, testkit.Options{}))
			cfg.Out, cfg.Verbose = &out, true
			w, err := scenario.Load(t.Context(), cfg, tt.sc)
			if err != nil {
				t.Fatal(err)
			}
			var attempts []scenario.Attempt
			if w.SetUp() {
				if attempts, err = w.Launch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Report(t.Context(), attempts); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			for _, want := range tt.lines {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not told: %s", want)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}
