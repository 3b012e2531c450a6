package report

import "github.com/kagimori/kagimori/internal/speech"

// Rule says what a code means.
func Rule(code string) speech.Text {
	switch code {
	case "not-in-key-policy":
		return speech.Say("No statement of the key policy lets the principal use the key.")
	case "action-not-in-key-policy":
		return speech.Say("A statement of the key policy names the principal, none covers the action.")
	case "condition-not-met":
		return speech.Say("A statement would allow it, but its condition is false.")
	case "no-identity-policy":
		return speech.Say("The key policy leaves it to identity policies, and none allows it.")
	case "boundary-no-allow":
		return speech.Say("An identity policy allows it, the permissions boundary does not.")
	case "no-allow-scp":
		return speech.Say("The allow list of the organization lacks the action.")
	case "explicit-deny-key-policy", "explicit-deny-scp", "explicit-deny-rcp", "explicit-deny-identity", "explicit-deny-boundary":
		return speech.Say("A statement denies it.")
	case "cross-account-needs-grant":
		return speech.Say("Service-linked role and key are in different accounts: only a grant can help.")
	case "cross-account-key-policy-missing":
		return speech.Say("The identity policy allows it, the key policy of the other account does not.")
	case "aws-managed-key-cross-account":
		return speech.Say("An AWS managed key cannot be used from another account.")
	case "grant-operation-missing":
		return speech.Say("A grant for the principal lacks the operation.")
	case "grant-constraint-not-met":
		return speech.Say("A grant for the principal is constrained to another encryption context.")
	case "grant-not-subset":
		return speech.Say("A grant for the principal does not cover all that the new grant would allow.")
	case "grant-retired", "grant-revoked":
		return speech.Say("A grant for the principal has ended.")
	case "key-disabled", "key-pending-deletion", "key-pending-import":
		return speech.Say("It is allowed, but the state of the key forbids it.")
	case "key-not-symmetric":
		return speech.Say("The key is not one for symmetric encryption.")
	case "key-wrong-region", "key-not-found", "alias-not-found":
		return speech.Say("The identifier of the key means no key here.")
	case "parameter-dependency", "parameter-combination":
		return speech.Say("The parameters of a device do not go together.")
	case "image-not-shared":
		return speech.Say("The image belongs to another account, which has not shared it.")
	case "no-service-linked-role":
		return speech.Say("The service-linked role of the group does not exist.")
	case "invalid-principal":
		return speech.Say("The policy names a principal that does not exist.")
	case "grantee-not-found":
		return speech.Say("The grantee does not exist.")
	case "lockout-safety-check":
		return speech.Say("The caller could not change the key policy again.")
	case "malformed-policy":
		return speech.Say("The document is not a key policy.")
	case CannotTell:
		return speech.Say("It depends on a fact that is not known.")
	case Assumed:
		return speech.Say("Something that is not known was taken for granted.")
	case "unknown-action":
		return speech.Say("A policy names an action that does not exist.")
	case "later-attach":
		return speech.Say("The creator of a volume may not attach it.")
	case "later-grant":
		return speech.Say("Only one grant lets the principal in.")
	case "later-replace":
		return speech.Say("It starts, and a new volume in its place would be refused.")
	case "later-start":
		return speech.Say("It launches, and cannot be started again after a stop.")
	case "grant-stays":
		return speech.Say("A grant that the launch made cannot be retired.")
	}
	return speech.Raw(code)
}
