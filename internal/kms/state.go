package kms

import (
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
)

// An operation is a row of the table of key states.
type operation uint8

const (
	opUse         operation = iota // cryptography
	opCreateGrant                  //
	opCreateAlias                  // also the new target of UpdateAlias
	opRead                         // DescribeKey, GetKeyPolicy, PutKeyPolicy, lists, RetireGrant, RevokeGrant, DeleteAlias
	opEdit                         // tags and description
	opSwitch                       // EnableKey, DisableKey
	opRotation                     // EnableKeyRotation, DisableKeyRotation
	opSchedule                     //
	opCancel                       //
	numOps
)

// A keyState is a column of the table.
type keyState uint8

const (
	stateEnabled keyState = iota
	stateDisabled
	statePendingDeletion
	numStates
)

type verdict uint8 // the zero value means that nobody decided; check refuses it

const (
	_ verdict = iota
	ok
	disabled   // DisabledException
	pending    // KMSInvalidStateException: pending deletion
	notPending // KMSInvalidStateException: not pending deletion
)

// states says what each operation does in each state. Source: KMS Developer Guide, "Key states of
// AWS KMS keys".
var states = [numOps][numStates]verdict{
	opUse:         {ok, disabled, pending},
	opCreateGrant: {ok, disabled, pending},
	opCreateAlias: {ok, ok, pending},
	opRead:        {ok, ok, ok},
	opEdit:        {ok, ok, pending},
	opSwitch:      {ok, ok, pending},
	opRotation:    {ok, disabled, pending},
	opSchedule:    {ok, ok, pending},
	opCancel:      {notPending, notPending, ok},
}

var stateOf = map[string]keyState{
	kmsapi.KeyStateEnabled: stateEnabled, kmsapi.KeyStateDisabled: stateDisabled,
	kmsapi.KeyStatePendingDeletion: statePendingDeletion,
}

// check refuses an operation that the key's kind or state does not allow.
func (op operation) check(k *keyView) error {
	if op == opRotation && k.Spec != kmsapi.KeySpecSYMMETRIC_DEFAULT {
		return apierr.New("UnsupportedOperationException", "") // AWS says no more than this
	}
	s, known := stateOf[k.State]
	if !known {
		return apierr.Newf("KMSInvalidStateException", "%s is %s.", k.arn, k.State)
	}
	switch states[op][s] {
	case ok:
		return nil
	case disabled:
		return apierr.Newf("DisabledException", "%s is disabled.", k.arn)
	case pending:
		return apierr.Newf("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	case notPending:
		return apierr.Newf("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
	}
	return &apierr.Error{Code: "KMSInternalException", Server: true}
}
