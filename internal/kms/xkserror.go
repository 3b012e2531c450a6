package kms

import (
	"errors"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/xks"
)

// Codes of what external key stores are refused with.
const (
	codeStoreState = "CustomKeyStoreInvalidStateException"
	codeKeyState   = "KMSInvalidStateException"
	codeXksKey     = "XksKeyInvalidConfigurationException"
	codeAnswer     = "XksProxyInvalidResponseException"
	codeReach      = "XksProxyUriUnreachableException"
	codeProof      = "XksProxyIncorrectAuthenticationCredentialException"
	codeConfig     = "XksProxyInvalidConfigurationException"
)

// A proxyVerdict says what a failure of a proxy is at KMS.
type proxyVerdict struct {
	create     string // code of CreateKey
	store      string // code of CreateCustomKeyStore and UpdateCustomKeyStore
	connection string // ConnectionErrorCode
	message    string
}

// proxyVerdicts have AWS's codes and messages. The use of a key answers all of them with
// KMSInvalidStateException. Source: KMS Developer Guide, "Troubleshooting external key stores";
// XKS Proxy API Specification, "Error codes".
var proxyVerdicts = map[xks.Failure]proxyVerdict{
	xks.Malformed: {codeStoreState, codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."},
	xks.InvalidState: {codeXksKey, codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"The external key associated with this KMS key in an external key store is not enabled in the external key manager. Enable the external key in the external key manager and retry the request."},
	xks.InvalidCiphertext: {codeStoreState, codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid."},
	xks.InvalidKeyUsage: {codeXksKey, codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"The external key associated with this KMS key in an external key store does not support the requested operation. Enable the operation on the key in your external key manager, and try the request again."},
	xks.AuthenticationFailed: {codeStoreState, codeProof, kmsapi.ConnectionErrorCodeTypeINVALID_CREDENTIALS,
		"The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS proxy authentication credentials for your external key store and update if necessary."},
	xks.AccessDenied: {codeKeyState, codeConfig, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_ACCESS_DENIED,
		"The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again."},
	xks.KeyNotFound: {"XksKeyNotFoundException", codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID."},
	xks.InvalidURIPath: {codeStoreState, codeConfig, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_CONFIGURATION,
		"The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary."},
	xks.DependencyTimeout: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_TIMED_OUT,
		"The external key store proxy did not respond to the request in the time allotted. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator."},
	xks.Throttling: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_NOT_REACHABLE,
		"The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store."},
	xks.Internal: {codeStoreState, codeAnswer, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_RESPONSE,
		"The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available."},
	xks.Unavailable: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_NOT_REACHABLE,
		"The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available."},
	xks.Unreachable: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_NOT_REACHABLE,
		"AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external keystore."},
	xks.NoTLS: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_INVALID_TLS_CONFIGURATION,
		"AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate."},
	xks.Late: {codeStoreState, codeReach, kmsapi.ConnectionErrorCodeTypeXKS_PROXY_TIMED_OUT,
		"AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator."},
}

// judge finds the verdict on an error of the client; ok is false if it is not about the proxy.
func judge(err error) (v proxyVerdict, ok bool) {
	e, ok := errors.AsType[*xks.Error](err)
	if !ok {
		return v, false
	}
	v, known := proxyVerdicts[e.Failure]
	if !known { // ValidationException, UnsupportedOperationException
		v = proxyVerdicts[xks.Malformed]
	}
	return v, true
}

// onUse is the failure of a proxy as the use of a key answers it.
func onUse(err error) error {
	v, ok := judge(err)
	if !ok {
		return err
	}
	return apierr.New(codeKeyState, v.message).Because(err)
}

// onCreateKey is the same as CreateKey answers it.
func onCreateKey(err error) error {
	v, ok := judge(err)
	if !ok {
		return err
	}
	return apierr.New(v.create, v.message).Because(err)
}

// onStore is the same as CreateCustomKeyStore and UpdateCustomKeyStore answer it.
func onStore(err error) error {
	v, ok := judge(err)
	if !ok {
		return err
	}
	return apierr.New(v.store, v.message).Because(err)
}
