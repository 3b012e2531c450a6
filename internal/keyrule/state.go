package keyrule

import "github.com/kagimori/kagimori/internal/apierr"

// An Operation is a row of the table of key states.
type Operation uint8

// Operations.
const (
	Use         Operation = iota // cryptography
	CreateGrant                  //
	CreateAlias                  // also the new target of UpdateAlias
	Read                         // DescribeKey, GetKeyPolicy, PutKeyPolicy, lists, RetireGrant, RevokeGrant, DeleteAlias
	Edit                         // tags and description
	Switch                       // EnableKey, DisableKey
	Rotation                     // EnableKeyRotation, DisableKeyRotation
	RotateNow                    // RotateKeyOnDemand
	Schedule                     // ScheduleKeyDeletion
	Cancel                       // CancelKeyDeletion
	numOps
)

// A state is a column of the table.
type state uint8

const (
	enabled state = iota
	disabled
	pendingDeletion
	pendingImport
	pendingReplicaDeletion
	unavailable // its key store is not connected
	numStates
)

type verdict uint8 // the zero value means that nobody decided; Check refuses it

const (
	_ verdict = iota
	ok
	isDisabled // DisabledException
	invalid    // KMSInvalidStateException: the state
	notPending // KMSInvalidStateException: not pending deletion
)

// externalStore is the Origin of keys in external key stores.
const externalStore = "EXTERNAL_KEY_STORE"

// NotConnected is what KMS says of the use of a key whose external key store is not connected.
// Source: KMS Developer Guide, "Troubleshooting external key stores".
const NotConnected = "This KMS key is in a custom key store that is not connected to its external key store proxy. " +
	"Connect the external key store and try the request again."

// states says what each operation does in each state. Source: KMS Developer Guide, "Key states of
// AWS KMS keys".
var states = [numOps][numStates]verdict{
	Use:         {ok, isDisabled, invalid, invalid, invalid, invalid},
	CreateGrant: {ok, isDisabled, invalid, invalid, invalid, ok},
	CreateAlias: {ok, ok, invalid, ok, invalid, ok},
	Read:        {ok, ok, ok, ok, ok, ok},
	Edit:        {ok, ok, invalid, ok, invalid, ok},
	Switch:      {ok, ok, invalid, invalid, invalid, ok},
	Rotation:    {ok, isDisabled, invalid, invalid, invalid, invalid},
	RotateNow:   {ok, isDisabled, invalid, invalid, invalid, invalid},
	Schedule:    {ok, ok, invalid, ok, invalid, ok},
	Cancel:      {notPending, notPending, ok, notPending, ok, notPending},
}

var stateOf = map[string]state{
	"Enabled": enabled, "Disabled": disabled, "PendingDeletion": pendingDeletion, "PendingImport": pendingImport,
	"PendingReplicaDeletion": pendingReplicaDeletion, "Unavailable": unavailable,
}

var inWords = [numStates]string{"enabled", "disabled", "pending deletion", "pending import", "pending replica deletion", "unavailable"}

// Check refuses an operation that the key's kind or state does not allow.
func (op Operation) Check(k *Key) error {
	if (op == Rotation || op == RotateNow) && k.Spec != symmetric {
		return apierr.New("UnsupportedOperationException", "") // AWS says no more than this
	}
	if (op == Rotation && k.Origin == "EXTERNAL") || ((op == Rotation || op == RotateNow) && k.Origin == externalStore) {
		return apierr.Newf("UnsupportedOperationException", "%s origin is %s which is not valid for this operation.", k.ARN(), k.Origin)
	}
	s, known := stateOf[k.State]
	if !known {
		return apierr.Newf("KMSInvalidStateException", "%s is %s.", k.ARN(), k.State)
	}
	switch states[op][s] {
	case ok:
		return nil
	case isDisabled:
		return apierr.Newf("DisabledException", "%s is disabled.", k.ARN())
	case invalid:
		if s == unavailable && k.Origin == externalStore {
			return apierr.New("KMSInvalidStateException", NotConnected)
		}
		return apierr.Newf("KMSInvalidStateException", "%s is %s.", k.ARN(), inWords[s])
	case notPending:
		return apierr.Newf("KMSInvalidStateException", "%s is not pending deletion.", k.ARN())
	}
	return &apierr.Error{Code: "KMSInternalException", Server: true}
}
