package kms

import "github.com/kagimori/kagimori/internal/keyrule"

// Rows of the table of key states.
const (
	opUse         = keyrule.Use
	opCreateGrant = keyrule.CreateGrant
	opCreateAlias = keyrule.CreateAlias
	opRead        = keyrule.Read
	opEdit        = keyrule.Edit
	opSwitch      = keyrule.Switch
	opRotation    = keyrule.Rotation
	opRotateNow   = keyrule.RotateNow
	opSchedule    = keyrule.Schedule
	opCancel      = keyrule.Cancel
)
