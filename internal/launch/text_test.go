package launch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kagimori/kagimori/internal/launch"
)

func TestStateReason(t *testing.T) {
	for style, want := range map[launch.ReasonStyle][2]string{
		"":                       {"Client.InvalidKMSKey.InvalidState", "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"},
		launch.ReasonInvalidKey:  {"Client.InvalidKMSKey.InvalidState", "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"},
		launch.ReasonClientError: {"Client.InternalError", "Client.InternalError: Client error on launch"},
	} {
		code, message := launch.StateReason(style)
		if code != want[0] || message != want[1] || launch.StateTransitionReason(style) != code {
			t.Errorf("%q: %s, %s", style, code, message)
		}
	}
}

func TestMessages(t *testing.T) {
	code, message := launch.AttachError("vol-1")
	if code != "CustomerKeyHasBeenRevoked" ||
		message != "Volume vol-1 cannot be attached. The encrypted volume was unable to access the KMS key." {
		t.Errorf("AttachError: %s, %s", code, message)
	}
	if launch.CopyStateMessage != "Given key ID is not accessible" {
		t.Error(launch.CopyStateMessage)
	}
	want := "You must use a valid fully-formed launch template. The parameter KmsKeyId requires the parameter Encrypted to be set."
	if got := launch.TemplateError("The parameter KmsKeyId requires the parameter Encrypted to be set."); got != want {
		t.Errorf("TemplateError: %s", got)
	}
}

func TestActivities(t *testing.T) {
	_, reason := launch.StateReason("")
	tests := []struct {
		name      string
		got, want launch.Activity
	}{
		{"successful", launch.ActivitySuccessful("i-1"), launch.Activity{StatusCode: "Successful",
			Description: "Launching a new EC2 instance: i-1"}},
		{"died", launch.ActivityDied("i-1", reason), launch.Activity{StatusCode: "Cancelled",
			StatusMessage: "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
			Description:   "Launching a new EC2 instance: i-1.  Status Reason: Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"}},
		{"refused", launch.ActivityRefused("No."), launch.Activity{StatusCode: "Failed",
			StatusMessage: "No. Launching EC2 instance failed.",
			Description:   "Launching a new EC2 instance.  Status Reason: No. Launching EC2 instance failed."}},
		{"not assumable", launch.ActivityRefused(launch.NotAssumable), launch.Activity{StatusCode: "Failed",
			StatusMessage: "Authentication Failure. Launching EC2 instance failed.",
			Description:   "Launching a new EC2 instance.  Status Reason: Authentication Failure. Launching EC2 instance failed."}},
		{"spot price", launch.ActivityRefused(launch.SpotPriceTooLow("0.001", "0.0031")), launch.Activity{StatusCode: "Failed",
			StatusMessage: "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.0031. Launching EC2 instance failed.",
			Description:   "Launching a new EC2 instance.  Status Reason: Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.0031. Launching EC2 instance failed."}},
		{"abandoned", launch.ActivityAbandoned("i-1", "t"), launch.Activity{StatusCode: "Cancelled",
			StatusMessage: "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned: Lifecycle Action Completed with ABANDON Result",
			Description:   "Launching a new EC2 instance: i-1.  Status Reason: Instance failed to complete user's Lifecycle Action: Lifecycle Action with token t was abandoned: Lifecycle Action Completed with ABANDON Result"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if launch.ActivityLaunching("") != "Launching a new EC2 instance" || launch.ActivityLaunching("i-1") != "Launching a new EC2 instance: i-1" {
		t.Error("ActivityLaunching")
	}
}
