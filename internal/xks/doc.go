// Package xks is the protocol between KMS and an external key store proxy: its messages, what makes
// them valid, and the client that KMS is. Package xksproxy is the other end.
//
// It encrypts nothing: a proxy does that, and KMS has encrypted before it asks one.
//
// Source: AWS KMS External Key Store (XKS) Proxy API Specification, version 1.0.3.
package xks
