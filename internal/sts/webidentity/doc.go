// Package webidentity verifies the tokens of OpenID Connect providers: JSON web tokens, by the keys
// that the provider publishes.
//
// Keys come from the issuer's own address: the document at /.well-known/openid-configuration names
// the set of keys. They are kept for a while; a token that names a key which is not among them has
// the set fetched again, because providers rotate keys, but not more often than once in
// [Config].Refetch. Nothing of a token is believed before its signature was verified, except who
// issued it, which decides whose keys are asked for.
//
// Sources: OpenID Connect Core 1.0; OpenID Connect Discovery 1.0; RFC 7515, 7517, 7518, 7519; STS API
// Reference, AssumeRoleWithWebIdentity; IAM User Guide, "Create an OpenID Connect (OIDC) identity
// provider in IAM".
package webidentity
