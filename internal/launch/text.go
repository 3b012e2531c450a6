package launch

import "strings"

// ReasonStyle chooses between the texts that AWS has used for a launch that failed on a key. It
// used them for every cause, missing permissions included; the true cause is in [Fail].
type ReasonStyle string

// Styles. The zero ReasonStyle is [ReasonInvalidKey].
const (
	ReasonInvalidKey  ReasonStyle = "invalid-kms-key" // since about 2024
	ReasonClientError ReasonStyle = "client-error"    // before; the text of the troubleshooting pages
)

// StateReason is the StateReason of an instance that failed on a key.
func StateReason(style ReasonStyle) (code, message string) {
	if style == ReasonClientError {
		return "Client.InternalError", "Client.InternalError: Client error on launch"
	}
	const c = "Client.InvalidKMSKey.InvalidState"
	return c, c + ": The KMS key provided is in an incorrect state"
}

// StateTransitionReason goes with [StateReason]. AWS's text is unknown; the code is ours.
func StateTransitionReason(style ReasonStyle) string {
	code, _ := StateReason(style)
	return code
}

// AttachError is the error (HTTP 400) of AttachVolume for a volume whose key refuses the grant or
// cannot be used. Source: Amazon EBS User Guide, "Unusable KMS keys".
func AttachError(volumeID string) (code, message string) {
	return "CustomerKeyHasBeenRevoked", "Volume " + volumeID +
		" cannot be attached. The encrypted volume was unable to access the KMS key."
}

// CopyStateMessage is the StateMessage of a snapshot in state error because a key of its copy was
// not accessible. Source: Amazon EBS User Guide, "Copy an Amazon EBS snapshot".
const CopyStateMessage = "Given key ID is not accessible"

// TemplateError is the message with which Auto Scaling (code ValidationError) wraps what EC2
// says about a launch template when a group is created or updated.
func TemplateError(ec2Message string) string {
	return "You must use a valid fully-formed launch template. " + ec2Message
}

// OtherNetwork is the error (HTTP 400) of a launch whose security group is in another VPC than its subnet.
func OtherNetwork(group, subnet string) (code, message string) {
	return "InvalidParameter", "Security group " + group + " and subnet " + subnet + " belong to different networks."
}

// IsOtherNetwork reports whether an error is that of [OtherNetwork], which Auto Scaling tells in words of its own.
func IsOtherNetwork(code, message string) bool {
	return code == "InvalidParameter" && strings.HasSuffix(message, " belong to different networks.")
}

// An Activity is the part of a scaling activity that tells how a launch went. Progress is 100.
// Source: EC2 Auto Scaling User Guide, "Troubleshoot Amazon EC2 Auto Scaling".
type Activity struct {
	StatusCode    string // Successful, Failed or Cancelled
	StatusMessage string // "" if successful
	Description   string
}

// Descriptions of activities without a status reason. An instance id of "" means none yet.
func launching(instanceID string) string {
	if instanceID == "" {
		return "Launching a new EC2 instance"
	}
	return "Launching a new EC2 instance: " + instanceID
}

func unsuccessful(code, instanceID, message string) Activity {
	return Activity{code, message, launching(instanceID) + ".  Status Reason: " + message}
}

// ActivityLaunching is the description of a launch under way.
func ActivityLaunching(instanceID string) string { return launching(instanceID) }

// ActivitySuccessful is a launch that went well.
func ActivitySuccessful(instanceID string) Activity {
	return Activity{StatusCode: "Successful", Description: launching(instanceID)}
}

// ActivityDied is a launch whose instance died while pending; reason is the message of its
// StateReason.
func ActivityDied(instanceID, reason string) Activity {
	return unsuccessful("Cancelled", instanceID, "Instance became unhealthy while waiting for "+
		"instance to be in InService state. Termination Reason: "+reason)
}

// ActivityRefused is a launch that EC2 refused at once, with EC2's message. Also for an unusable
// service-linked role, with [NotAssumable].
func ActivityRefused(ec2Message string) Activity {
	return unsuccessful("Failed", "", strings.TrimSpace(ec2Message+" Launching EC2 instance failed."))
}

// NotAssumable is what [ActivityRefused] says while the service-linked role cannot be assumed.
const NotAssumable = "Authentication Failure."

// ActivityAbandoned is a launch that a lifecycle hook abandoned; token is the action's.
func ActivityAbandoned(instanceID, token string) Activity {
	return unsuccessful("Cancelled", instanceID, "Instance failed to complete user's Lifecycle "+
		"Action: Lifecycle Action with token "+token+" was abandoned: Lifecycle Action Completed "+
		"with ABANDON Result")
}

// ActivityHookTimeout is a launch that nobody completed at a lifecycle hook whose default result is
// to abandon; token is the action's.
func ActivityHookTimeout(instanceID, token string) Activity {
	return unsuccessful("Cancelled", instanceID, "Instance failed to complete user's Lifecycle "+
		"Action: Lifecycle Action with token "+token+" was abandoned: Heartbeat Timeout")
}

// SpotPriceTooLow is what [ActivityRefused] says if the bid is below the current price. Both are
// decimal numbers of US dollars, as text.
func SpotPriceTooLow(bid, price string) string {
	return "Your Spot request price of " + bid + " is lower than the minimum required Spot " +
		"request fulfillment price of " + price + "."
}
