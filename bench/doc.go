// Package bench compares the speed of decisions with that of cedar-go, in one run. It is a module
// of its own so that the server does not depend on what it is compared with.
//
// The two languages do not mean the same: IAM has layers that limit each other, accounts that
// delegate to their identity policies and wildcards in every string, Cedar has one flat set of
// permits and forbids. policies.cedar says what can be said in Cedar of the typical KMS request
// of internal/casefile: a policy for each statement and each grant, with the same conditions. A
// test asserts that both decide variations of the request alike.
package bench
