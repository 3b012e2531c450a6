package lint

import (
	"maps"
	"slices"
)

// A Rule is one kind of finding.
type Rule struct {
	ID       string
	Severity Severity // that most of its findings have
	Summary  string
}

// Rules are all rules, by id.
func Rules() []Rule {
	all := make([]Rule, 0, len(rules))
	for _, id := range slices.Sorted(maps.Keys(rules)) {
		r := rules[id]
		r.ID = id
		all = append(all, r)
	}
	return all
}

var rules = map[string]Rule{
	"refused":   {Severity: Error, Summary: "AWS refuses to store the document"},
	"too-large": {Severity: Error, Summary: "The document is larger than AWS stores"},

	// What can never apply.
	"inert-statement":             {Severity: Error, Summary: "A statement without an element that it needs applies to nothing"},
	"unknown-action":              {Severity: Error, Summary: "An action matches no action of its service"},
	"unknown-service":             {Severity: Error, Summary: "No service has actions with this prefix"},
	"action-not-here":             {Severity: Error, Summary: "This kind of policy never decides about the action"},
	"action-without-resource":     {Severity: Error, Summary: "No Resource of the statement is one that the action acts on"},
	"bad-arn":                     {Severity: Error, Summary: "No resource has an ARN of this form"},
	"resource-mismatch":           {Severity: Error, Summary: "No action of the statement acts on the resource"},
	"alias-as-key":                {Severity: Error, Summary: "An alias ARN in Resource does not stand for its key"},
	"key-resource":                {Severity: Error, Summary: "A key policy's Resource does not match its key"},
	"unknown-condition-key":       {Severity: Error, Summary: "There is no such condition key"},
	"condition-key-absent":        {Severity: Error, Summary: "Requests for the action never carry the condition key"},
	"condition-without-effect":    {Severity: Warning, Summary: "The condition is always true because requests never carry its key"},
	"condition-type":              {Severity: Error, Summary: "The operator is for another type than the condition key's"},
	"condition-value":             {Severity: Error, Summary: "The condition key never has such a value"},
	"contradiction":               {Severity: Error, Summary: "Conditions on one key can never hold together"},
	"multivalued":                 {Severity: Error, Summary: "A set operator is missing, or is on a key with one value"},
	"variable-2008":               {Severity: Error, Summary: "Policy variables are plain text before version 2012-10-17"},
	"unknown-variable":            {Severity: Error, Summary: "A policy variable that no request fills in"},
	"unknown-principal":           {Severity: Error, Summary: "The principal does not exist"},
	"caller-account":              {Severity: Error, Summary: "kms:CallerAccount is not the account of the principals"},
	"principal-arn-session":       {Severity: Error, Summary: "aws:PrincipalArn is never the ARN of a session"},
	"not-abroad":                  {Severity: Error, Summary: "The action does not work on another account's key"},
	"other-account":               {Severity: Error, Summary: "The action does not work on a resource of another account"},
	"external-linked-role":        {Severity: Error, Summary: "A service-linked role of another account gets nothing from a key policy"},
	"service-principal":           {Severity: Error, Summary: "The service uses keys as a role or for its caller, not as itself"},
	"via-service":                 {Severity: Error, Summary: "kms:ViaService never has this value"},
	"via-service-region":          {Severity: Error, Summary: "kms:ViaService names another region than the key's"},
	"linked-role-exempt":          {Severity: Error, Summary: "Policies of an organization do not limit service-linked roles"},
	"linked-role-name":            {Severity: Error, Summary: "No service-linked role has this name"},
	"linked-role-path":            {Severity: Error, Summary: "A service-linked role lies under the path of its service"},
	"linked-role-suffix":          {Severity: Error, Summary: "The suffix of a service-linked role is malformed or not possible"},
	"linked-role-unknown-service": {Severity: Warning, Summary: "The service is not known to have a service-linked role"},

	// What does more or less than it seems.
	"partial-request":              {Severity: Warning, Summary: "The action is decided on several resources, of which some are allowed"},
	"linked-role-session":          {Severity: Warning, Summary: "A session is named instead of its service-linked role"},
	"launch-incomplete":            {Severity: Warning, Summary: "A part of what a launch on encrypted volumes needs is allowed"},
	"grant-condition-missing":      {Severity: Warning, Summary: "A service-linked role may create grants for others than AWS services"},
	"grant-condition-external":     {Severity: Warning, Summary: "The other account cannot create the grant that its service-linked role needs"},
	"external-account-grant":       {Severity: Warning, Summary: "A launch in the other account also needs a grant"},
	"deny-hits-services":           {Severity: Error, Summary: "A network deny hits what AWS services do for allowed callers"},
	"deny-hits-launches":           {Severity: Warning, Summary: "A deny hits what EC2 asks for when somebody launches on encrypted volumes"},
	"deny-hits-service-principals": {Severity: Warning, Summary: "A deny to strangers hits AWS services that call as themselves"},
	"deny-hits-volumes":            {Severity: Warning, Summary: "A network deny hits the role that opens the volumes of instances"},
	"for-all-values":               {Severity: Warning, Summary: "ForAllValues also holds for requests without the key"},
	"anyone":                       {Severity: Error, Summary: "Everybody is allowed, of every account"},
	"any-action":                   {Severity: Warning, Summary: "Every action is allowed"},
	"any-key":                      {Severity: Warning, Summary: "The use of every key that delegates is allowed"},
	"account-typo":                 {Severity: Warning, Summary: "The account differs from the document's own by one slip of the keyboard"},
	"key-administration":           {Severity: Warning, Summary: "More than use of the key is given away"},
	"not-action-allow":             {Severity: Warning, Summary: "Allow with NotAction allows whatever AWS adds"},
	"not-resource-allow":           {Severity: Warning, Summary: "Allow with NotResource allows whatever is added"},
	"not-principal":                {Severity: Warning, Summary: "NotPrincipal denies every principal with a permissions boundary"},
	"not-principal-allow":          {Severity: Error, Summary: "Allow with NotPrincipal allows nobody"},
	"pass-any-role":                {Severity: Warning, Summary: "Any role may be passed to any service"},
	"confused-deputy":              {Severity: Warning, Summary: "A service is allowed for whoever's resources it asks"},
	"locked-out":                   {Severity: Error, Summary: "Nobody can change the key policy"},
	"no-account-statement":         {Severity: Warning, Summary: "The account is not named, so the key depends on single principals"},
	"duplicate-sid":                {Severity: Warning, Summary: "Two statements have the same Sid"},
}
