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

// states says what each operation does in each state. Source: KMS Developer Guide, "Key states of
// AWS KMS keys".
var states = [numOps][numStates]verdict{
	Use:         {ok, isDisabled, invalid, invalid, invalid},
	CreateGrant: {ok, isDisabled, invalid, invalid, invalid},
	CreateAlias: {ok, ok, invalid, ok, invalid},
	Read:        {ok, ok, ok, ok, ok},
	Edit:        {ok, ok, invalid, ok, invalid},
	Switch:      {ok, ok, invalid, invalid, invalid},
	Rotation:    {ok, isDisabled, invalid, invalid, invalid},
	RotateNow:   {ok, isDisabled, invalid, invalid, invalid},
	Schedule:    {ok, ok, invalid, ok, invalid},
	Cancel:      {notPending, notPending, ok, notPending, ok},
}

var stateOf = map[string]state{
	"Enabled": enabled, "Disabled": disabled, "PendingDeletion": pendingDeletion, "PendingImport": pendingImport,
	"PendingReplicaDeletion": pendingReplicaDeletion,
}

var inWords = [numStates]string{"enabled", "disabled", "pending deletion", "pending import", "pending replica deletion"}

// Check refuses an operation that the key's kind or state does not allow.
func (op Operation) Check(k *Key) error {
	if (op == Rotation || op == RotateNow) && k.Spec != symmetric {
		return apierr.New("UnsupportedOperationException", "") // AWS says no more than this
	}
	if op == Rotation && k.Origin == "EXTERNAL" {
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
		return apierr.Newf("KMSInvalidStateException", "%s is %s.", k.ARN(), inWords[s])
	case notPending:
		return apierr.Newf("KMSInvalidStateException", "%s is not pending deletion.", k.ARN())
	}
	return &apierr.Error{Code: "KMSInternalException", Server: true}
}
