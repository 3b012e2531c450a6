// Package kms is AWS Key Management Service: keys, their policies, aliases, tags and grants, and
// cryptography with symmetric keys.
//
// Every operation reads its key, asks guard in the same transaction and only then acts; key
// material stays in hsm, which spends the permit of that decision.
//
// Source of the rules, unless a comment names another: AWS KMS Developer Guide and API Reference.
package kms
