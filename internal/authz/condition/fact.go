package condition

// A fact is a key whose value comes from [Facts] if nothing else gives it.
type fact uint8

const (
	factNone fact = iota
	factPrincipalARN
	factPrincipalAccount
	factPrincipalType
	factUserID
	factUsername
	factPrincipalOrgID
	factPrincipalOrgPaths
	factIsService
	factServiceName
	factServiceNames
	factResourceAccount
	factResourceOrgID
	factResourceOrgPaths
	factRegion
	factSecure
	factVia
	factCallerAccount
	factForResource
	factPrincipalTag
	factResourceTag
)

// facts are those with a name of their own.
var facts = map[string]fact{
	"aws:principalarn":              factPrincipalARN,
	"aws:principalaccount":          factPrincipalAccount,
	"aws:principaltype":             factPrincipalType,
	"aws:userid":                    factUserID,
	"aws:username":                  factUsername,
	"aws:principalorgid":            factPrincipalOrgID,
	"aws:principalorgpaths":         factPrincipalOrgPaths,
	"aws:principalisawsservice":     factIsService,
	"aws:principalservicename":      factServiceName,
	"aws:principalservicenameslist": factServiceNames,
	"aws:resourceaccount":           factResourceAccount,
	"aws:resourceorgid":             factResourceOrgID,
	"aws:resourceorgpaths":          factResourceOrgPaths,
	"aws:requestedregion":           factRegion,
	"aws:securetransport":           factSecure,
	"aws:viaawsservice":             factVia,
	"kms:calleraccount":             factCallerAccount,
	"kms:grantisforawsresource":     factForResource,
}
