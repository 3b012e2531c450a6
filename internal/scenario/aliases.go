package scenario

import "github.com/kagimori/kagimori/internal/scenario/format"

// The types of the format; see package format.
type (
	Account        = format.Account
	BlockDevice    = format.BlockDevice
	BlockVolume    = format.BlockVolume
	Constraints    = format.Constraints
	Document       = format.Document
	EBS            = format.EBS
	Edit           = format.Edit
	ExistingVolume = format.ExistingVolume
	Expected       = format.Expected
	ExpectedVolume = format.ExpectedVolume
	Failure        = format.Failure
	FormatError    = format.FormatError
	Grant          = format.Grant
	Group          = format.Group
	Image          = format.Image
	ImageDevice    = format.ImageDevice
	InlinePolicy   = format.InlinePolicy
	Key            = format.Key
	Launch         = format.Launch
	OrgPolicy      = format.OrgPolicy
	Params         = format.Params
	Principal      = format.Principal
	Scenario       = format.Scenario
	Snapshot       = format.Snapshot
	Source         = format.Source
	Step           = format.Step
	Template       = format.Template
	Value          = format.Value
)

// Schema is that of [format.Schema].
const Schema = format.Schema

// Parse reads a scenario. The error is a *FormatError if data is not one.
func Parse(data []byte) (*Scenario, error) { return format.Parse(data) }

const (
	callCreateKey, callPutKeyPolicy, callCreateGrant = format.CallCreateKey, format.CallPutKeyPolicy, format.CallCreateGrant

	autoScalingLaunch, runInstances, startInstances = format.AutoScalingLaunch, format.RunInstances, format.StartInstances
	attachVolume, createVolume, copySnapshot        = format.AttachVolume, format.CreateVolume, format.CopySnapshot

	kindLaunchTemplate, kindLaunchConfiguration, kindVolume = format.KindLaunchTemplate, format.KindLaunchConfiguration, format.KindVolume

	marketOnDemand, marketSpot, marketMixed = format.MarketOnDemand, format.MarketSpot, format.MarketMixed

	kindRole, kindUser, kindLinked = format.KindRole, format.KindUser, format.KindLinked

	managerCustomer, managerAWS = format.ManagerCustomer, format.ManagerAWS

	grantActive, grantRetired, grantRevoked = format.GrantActive, format.GrantRetired, format.GrantRevoked
)
