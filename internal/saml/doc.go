// Package saml reads what a SAML 2.0 identity provider says: its metadata, and the authentication
// responses in which it vouches for a user.
//
// Nothing of a response is believed but what a signature covers: [Response.Verify] takes the
// assertion from the very bytes that were digested, and a response with more than one assertion
// anywhere, with two elements of one ID, or with a document type is none. The keys are those of the
// metadata; certificates in a response choose none.
//
// Sources: SAML 2.0 Core, Bindings and Metadata; XML Signature; IAM User Guide, "Configure SAML
// assertions for the authentication response" and "Create a SAML identity provider in IAM".
package saml
