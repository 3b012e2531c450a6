package kms_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/trail"
)

const notConnected = "This KMS key is in a custom key store that is not connected to its external key store proxy. Connect the external key store and try the request again."

func TestKeysOfAnExternalKeyStoreEncryptTwice(t *testing.T) {
	w, p, root := external(t)
	id := root.newStore("store")
	if st := root.store(id); *st.ConnectionState != "DISCONNECTED" || *st.CustomKeyStoreType != "EXTERNAL_KEY_STORE" || st.ConnectionErrorCode != nil ||
		*st.XksProxyConfiguration.UriEndpoint != proxyHost || *st.XksProxyConfiguration.UriPath != proxyPath ||
		st.XksProxyConfiguration.AccessKeyId.Reveal() != proxyKeyID || *st.XksProxyConfiguration.Connectivity != "PUBLIC_ENDPOINT" ||
		st.XksProxyConfiguration.VpcEndpointServiceName != nil || *st.CustomKeyStoreName != "store" || !strings.HasPrefix(id, "cks-") || len(id) != 21 {
		t.Errorf("store = %+v", st)
	}
	wantErr(t, root.try(externalKey(id, "ext-1")), "CustomKeyStoreInvalidStateException", notConnected)
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	check(t, w.clock.Wait(t.Context()))
	m := root.createKey(externalKey(id, "ext-1"))
	if *m.Origin != "EXTERNAL_KEY_STORE" || *m.CustomKeyStoreId != id || *m.XksKeyConfiguration.Id != "ext-1" || *m.KeyState != "Enabled" ||
		m.CurrentKeyMaterialId != nil || *m.KeySpec != "SYMMETRIC_DEFAULT" || m.CloudHsmClusterId != nil {
		t.Errorf("metadata = %+v", m)
	}
	key, context := *m.Arn, map[string]string{"project": "nile"}
	blob := root.encrypt(key, "secret text", context)
	last := p.last()
	meta := last["requestMetadata"].(map[string]any)
	if meta["kmsKeyArn"] != key || meta["kmsOperation"] != "Encrypt" || meta["awsPrincipalArn"] != root.arn() || meta["kmsRequestId"] == "" ||
		last["encryptionAlgorithm"] != "AES_GCM" || last["ciphertextDataIntegrityValueAlgorithm"] != "SHA_256" {
		t.Errorf("the proxy saw %v", last)
	}
	inner, err := base64.StdEncoding.DecodeString(last["plaintext"].(string))
	if check(t, err); bytes.Contains(inner, []byte("secret text")) || len(inner) > 4300 {
		t.Error("the proxy saw the plaintext")
	}
	for _, in := range []*kmsapi.DecryptRequest{{CiphertextBlob: blob, EncryptionContext: context}, {CiphertextBlob: blob, EncryptionContext: context, KeyId: &key}} {
		if out := get[kmsapi.DecryptResponse](root, in); string(out.Plaintext) != "secret text" || out.KeyMaterialId != nil || *out.KeyId != key {
			t.Errorf("decrypted %+v", out)
		}
	}
	wantErr(t, root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob}), "KMSInvalidStateException",
		"The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid.")
	dk := get[kmsapi.GenerateDataKeyResponse](root, &kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256")})
	if out := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: dk.CiphertextBlob}); !out.Plaintext.Equal(dk.Plaintext) {
		t.Error("another data key")
	}
	silent := get[kmsapi.GenerateDataKeyWithoutPlaintextResponse](root, &kmsapi.GenerateDataKeyWithoutPlaintextRequest{KeyId: &key, NumberOfBytes: new(int32(64))})
	second, plain := *root.createKey(externalKey(id, "ext-2")).Arn, root.newKey()
	for _, to := range []string{second, plain, key} {
		moved := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{CiphertextBlob: silent.CiphertextBlob, DestinationKeyId: &to})
		back := get[kmsapi.ReEncryptResponse](root, &kmsapi.ReEncryptRequest{CiphertextBlob: moved.CiphertextBlob, DestinationKeyId: &key})
		if out := get[kmsapi.DecryptResponse](root, &kmsapi.DecryptRequest{CiphertextBlob: back.CiphertextBlob}); len(out.Plaintext) != 64 {
			t.Errorf("through %s: %d bytes", to, len(out.Plaintext))
		}
	}
	if got := root.encrypt(key, strings.Repeat("x", 4096), nil); len(got) > 6144 {
		t.Errorf("a ciphertext of %d bytes", len(got))
	}
	wantErr(t, root.try(externalKey(id, "ext-1")), "XksKeyAlreadyInUseException", "*")
	wantErr(t, root.try(externalKey(id, "ext-9")), "XksKeyNotFoundException",
		"The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID.")
	seen := len(p.seen)
	wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x"), DryRun: new(true)}), "DryRunOperationException", "*")
	if len(p.seen) != seen {
		t.Error("a dry run asked the proxy")
	}
	wantRecorded(t, w, id)
}

// wantRecorded checks that the trail names store and external key, and no secret.
func wantRecorded(t *testing.T, w *world, id string) {
	t.Helper()
	named := 0
	for _, r := range w.records(trail.Filter{Account: owner}) {
		text := fmt.Sprintf("%+v %s", r, r.AdditionalEventData)
		if strings.Contains(text, proxySecret) {
			t.Fatal("the secret of the credential is in the trail")
		}
		if r.EventName == "Encrypt" && strings.Contains(text, id) && strings.Contains(text, "ext-1") {
			named++
		}
	}
	if named == 0 {
		t.Error("no record names the key store")
	}
}

func TestKeyStateWhileTheStoreIsDisconnected(t *testing.T) {
	w, _, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	blob := root.encrypt(key, "x", nil)
	wantErr(t, root.try(&kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: &id}), "CustomKeyStoreInvalidStateException", "*")
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	if m := root.describe(key); *m.KeyState != "Unavailable" || *m.Enabled {
		t.Errorf("the key is %s", *m.KeyState)
	}
	for _, in := range []any{
		&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}, &kmsapi.DecryptRequest{CiphertextBlob: blob},
		&kmsapi.GenerateDataKeyRequest{KeyId: &key, KeySpec: new("AES_256")},
		&kmsapi.ReEncryptRequest{CiphertextBlob: blob, DestinationKeyId: &key},
	} {
		wantErr(t, root.try(in), "KMSInvalidStateException", notConnected)
	}
	wantErr(t, root.try(&kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: &id}), "CustomKeyStoreHasCMKsException", "*")
	wantErr(t, root.try(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id}), "CustomKeyStoreInvalidStateException", "*")
	wantErr(t, root.try(&kmsapi.CancelKeyDeletionRequest{KeyId: &key}), "KMSInvalidStateException", key+" is not pending deletion.")
	root.must(&kmsapi.DisableKeyRequest{KeyId: &key}) // counts when the store is connected
	root.must(&kmsapi.UpdateKeyDescriptionRequest{KeyId: &key, Description: new("d")})
	root.must(&kmsapi.CreateAliasRequest{AliasName: new("alias/x"), TargetKeyId: &key})
	root.must(&kmsapi.TagResourceRequest{KeyId: &key, Tags: []kmsapi.Tag{{TagKey: new("k"), TagValue: new("v")}}})
	root.must(&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new("arn:aws:iam::" + other + ":root"), Operations: []string{"Decrypt"}})
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	check(t, w.clock.Wait(t.Context()))
	if m := root.describe(key); *m.KeyState != "Disabled" {
		t.Errorf("the key is %s", *m.KeyState)
	}
	root.must(&kmsapi.EnableKeyRequest{KeyId: &key})
	origin := key + " origin is EXTERNAL_KEY_STORE which is not valid for this operation."
	for _, in := range []any{
		&kmsapi.EnableKeyRotationRequest{KeyId: &key}, &kmsapi.DisableKeyRotationRequest{KeyId: &key}, &kmsapi.RotateKeyOnDemandRequest{KeyId: &key},
		&kmsapi.GetKeyRotationStatusRequest{KeyId: &key}, &kmsapi.ListKeyRotationsRequest{KeyId: &key},
		&kmsapi.GenerateDataKeyPairRequest{KeyId: &key, KeyPairSpec: new("ECC_NIST_P256")},
		&kmsapi.GenerateDataKeyPairWithoutPlaintextRequest{KeyId: &key, KeyPairSpec: new("ECC_NIST_P256")},
		&kmsapi.GetParametersForImportRequest{KeyId: &key, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")},
		&kmsapi.DeleteImportedKeyMaterialRequest{KeyId: &key},
	} {
		wantErr(t, root.try(in), "UnsupportedOperationException", origin)
	}
	root.must(&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(7))})
	root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
	if m := root.describe(key); *m.KeyState != "PendingDeletion" {
		t.Errorf("the key is %s", *m.KeyState)
	}
	check(t, w.clock.Advance(t.Context(), 8*24*time.Hour))
	root.must(&kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: &id})
	wantErr(t, root.try(&kmsapi.DescribeCustomKeyStoresRequest{CustomKeyStoreId: &id}), "CustomKeyStoreNotFoundException", "*")
	if n := w.size("kms/xkskey") + w.size("kms/keystore"); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// Source: KMS Developer Guide, "Troubleshooting external key stores".
func TestWhatAProxysErrorsAreAtKMS(t *testing.T) {
	w, p, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	blob := root.encrypt(key, "x", nil)
	const state, storeState = "KMSInvalidStateException", "CustomKeyStoreInvalidStateException"
	for _, c := range []struct {
		name                string
		status              int
		create, store, code string
		text                string
	}{
		{"ValidationException", 400, storeState, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."},
		{"InvalidStateException", 400, "XksKeyInvalidConfigurationException", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "The external key associated with this KMS key in an external key store is not enabled in the external key manager. Enable the external key in the external key manager and retry the request."},
		{"InvalidKeyUsageException", 400, "XksKeyInvalidConfigurationException", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "The external key associated with this KMS key in an external key store does not support the requested operation. Enable the operation on the key in your external key manager, and try the request again."},
		{"AuthenticationFailedException", 401, storeState, "XksProxyIncorrectAuthenticationCredentialException", "INVALID_CREDENTIALS", "The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS proxy authentication credentials for your external key store and update if necessary."},
		{"AccessDeniedException", 403, state, "XksProxyInvalidConfigurationException", "XKS_PROXY_ACCESS_DENIED", "The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again."},
		{"KeyNotFoundException", 404, "XksKeyNotFoundException", "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID."},
		{"InvalidUriPathException", 404, storeState, "XksProxyInvalidConfigurationException", "XKS_PROXY_INVALID_CONFIGURATION", "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary."},
		{"ThrottlingException", 429, storeState, "XksProxyUriUnreachableException", "XKS_PROXY_NOT_REACHABLE", "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store."},
		{"UnsupportedOperationException", 501, storeState, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."},
		{"DependencyTimeoutException", 503, storeState, "XksProxyUriUnreachableException", "XKS_PROXY_TIMED_OUT", "The external key store proxy did not respond to the request in the time allotted. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator."},
		{"InternalException", 500, storeState, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available."},
		{"AnotherException", 400, storeState, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."},
		{"InternalException", 302, storeState, "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE", "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."},
	} {
		w.run(c.name, func(t *testing.T) {
			p.set(func() { p.fail, p.status = c.name, c.status })
			want := func(err error, code string) {
				t.Helper()
				wantErr(t, err, code, c.text) // and no words of the proxy
			}
			want(root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), state)
			want(root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob}), state)
			want(root.try(externalKey(id, "ext-2")), c.create)
			in := storeRequest("another")
			in.XksProxyUriPath = new("/kms/xks/v1")
			want(root.try(in), c.store)
			want(root.try(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, XksProxyUriPath: new("/b/kms/xks/v1")}), c.store)
			root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
			root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
			check(t, w.clock.Wait(t.Context()))
			if st := root.store(id); *st.ConnectionState != "FAILED" || api.Val(st.ConnectionErrorCode) != c.code {
				t.Errorf("the store is %s, %s", *st.ConnectionState, api.Val(st.ConnectionErrorCode))
			}
			wantErr(t, root.try(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id}), storeState, "*")
			p.set(func() { p.fail = "" })
			root.must(&kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
			root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id})
			check(t, w.clock.Wait(t.Context()))
		})
	}
}

func TestAnswersThatAreNotThoseOfAProxy(t *testing.T) {
	w, p, root := external(t)
	id := root.connected("store")
	key := *root.createKey(externalKey(id, "ext-1")).Arn
	blob := root.encrypt(key, "x", nil)
	const text = "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator."
	flip := func(name string) func(string, map[string]any) {
		return func(_ string, out map[string]any) {
			if s, ok := out[name].(string); ok {
				b, _ := base64.StdEncoding.DecodeString(s)
				b[0] ^= 1
				out[name] = base64.StdEncoding.EncodeToString(b)
			}
		}
	}
	for name, answer := range map[string]func(string, map[string]any){
		"another ciphertext": flip("ciphertext"), "another tag": flip("authenticationTag"), "another iv": flip("initializationVector"),
		"another metadata": flip("ciphertextMetadata"), "another integrity value": flip("ciphertextDataIntegrityValue"),
		"no integrity value": func(_ string, out map[string]any) { delete(out, "ciphertextDataIntegrityValue") },
		"a short iv":         func(_ string, out map[string]any) { out["initializationVector"] = "AAAA" },
		"a short tag":        func(_ string, out map[string]any) { out["authenticationTag"] = "AAAA" },
		"long metadata":      func(_ string, out map[string]any) { out["ciphertextMetadata"] = strings.Repeat("AAAA", 7) },
		"a long ciphertext":  func(_ string, out map[string]any) { out["ciphertext"] = "AAAA" },
		"no base64":          func(_ string, out map[string]any) { out["ciphertext"] = "***" },
		"too large":          func(_ string, out map[string]any) { out["filler"] = strings.Repeat("x", 70000) },
	} {
		w.run(name, func(t *testing.T) {
			p.set(func() { p.answer = answer })
			wantErr(t, root.try(&kmsapi.EncryptRequest{KeyId: &key, Plaintext: []byte("x")}), "KMSInvalidStateException", text)
		})
	}
	for name, answer := range map[string]func(string, map[string]any){
		"a short plaintext": func(_ string, out map[string]any) { out["plaintext"] = "AAAA" },
		"no plaintext":      func(_ string, out map[string]any) { delete(out, "plaintext") },
	} {
		w.run(name, func(t *testing.T) {
			p.set(func() { p.answer = answer })
			wantErr(t, root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob}), "KMSInvalidStateException", text)
		})
	}
	p.set(func() { p.answer = flip("plaintext") })
	wantErr(t, root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob}), "InvalidCiphertextException", "") // the layer below sees it
	for name, c := range map[string]struct {
		field, value any
		code         string
	}{
		"another spec": {"keySpec", "AES_128", "XksKeyInvalidConfigurationException"}, "no decryption": {"keyUsage", []string{"ENCRYPT"}, "XksKeyInvalidConfigurationException"},
		"disabled": {"keyStatus", "DISABLED", "XksKeyInvalidConfigurationException"}, "no such status": {"keyStatus", "SLEEPING", "CustomKeyStoreInvalidStateException"},
	} {
		w.run(name, func(t *testing.T) {
			p.set(func() { p.answer = func(_ string, out map[string]any) { out[c.field.(string)] = c.value } })
			wantErr(t, root.try(externalKey(id, "ext-2")), c.code, "*")
		})
	}
	p.set(func() { p.answer = nil })
	p.srv.CloseClientConnections() // a proxy may close what it has not heard of for a while
	root.must(&kmsapi.DecryptRequest{CiphertextBlob: blob})
	for n := range blob {
		if err := root.try(&kmsapi.DecryptRequest{CiphertextBlob: blob[:n], KeyId: &key}); err == nil {
			t.Fatalf("the first %d bytes of a ciphertext were decrypted", n)
		}
	}
	for i := range blob { // whatever is changed in a ciphertext, it does not open
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if err := root.try(&kmsapi.DecryptRequest{CiphertextBlob: bad, KeyId: &key}); err == nil {
			t.Fatalf("a ciphertext with another byte %d was decrypted", i)
		}
	}
}

func TestWhatStoresMayNotShare(t *testing.T) {
	w, p, root := external(t)
	id := root.newStore("a")
	change := func(fn func(*kmsapi.CreateCustomKeyStoreRequest)) *kmsapi.CreateCustomKeyStoreRequest {
		in := storeRequest("b")
		fn(in)
		return in
	}
	vpc := func(in *kmsapi.CreateCustomKeyStoreRequest) {
		in.XksProxyConnectivity, in.XksProxyVpcEndpointServiceName = new("VPC_ENDPOINT_SERVICE"), new("com.amazonaws.vpce.us-west-2.vpce-svc-0e3f4a")
	}
	for _, c := range []struct {
		in   *kmsapi.CreateCustomKeyStoreRequest
		code string
	}{
		{storeRequest("a"), "CustomKeyStoreNameInUseException"},
		{storeRequest("b"), "XksProxyUriInUseException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.CustomKeyStoreType = nil }), "UnsupportedOperationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.CustomKeyStoreType = new("AWS_CLOUDHSM") }), "UnsupportedOperationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriEndpoint = nil }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyAuthenticationCredential = nil }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyConnectivity = nil }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriPath = nil }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.CloudHsmClusterId = new("cluster-1a23b4cdefg") }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) {
			vpc(in)
			in.XksProxyConnectivity = new("PUBLIC_ENDPOINT")
		}), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { vpc(in); in.XksProxyVpcEndpointServiceName = nil }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriEndpoint = new("http://example.com") }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriEndpoint = new("https://example.com:443") }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriPath = new("/kms/xks/v1/") }), "ValidationException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) {
			in.XksProxyAuthenticationCredential.RawSecretAccessKey = new(secret.String(strings.Repeat("A", 43)))
		}), "XksProxyIncorrectAuthenticationCredentialException"},
		{change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriPath = new("/other/kms/xks/v1") }), "XksProxyInvalidConfigurationException"},
	} {
		wantErr(t, root.try(c.in), c.code, "*")
	}
	// The path counts as another store's if the proxy answers there, whatever it is.
	p.set(func() {
		p.before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"xksProxyFleetSize":1,"xksProxyVendor":"v","xksProxyModel":"m","ekmVendor":"e","ekmFleetDetails":[{"id":"1","model":"m","healthStatus":"ACTIVE"}]}`)
			return true
		}
	})
	wantErr(t, root.try(change(func(in *kmsapi.CreateCustomKeyStoreRequest) { vpc(in); in.XksProxyUriPath = new("/kms/xks/v1") })), "XksProxyUriEndpointInUseException", "*")
	for i := range 9 {
		in := storeRequest(fmt.Sprint("store ", i))
		in.XksProxyUriPath = new(fmt.Sprintf("/p%d/kms/xks/v1", i))
		root.must(in)
	}
	wantErr(t, root.try(change(func(in *kmsapi.CreateCustomKeyStoreRequest) { in.XksProxyUriPath = new("/last/kms/xks/v1") })), "LimitExceededException", "*")
	out := get[kmsapi.DescribeCustomKeyStoresResponse](root, &kmsapi.DescribeCustomKeyStoresRequest{Limit: new(int32(6))})
	if len(out.CustomKeyStores) != 6 || !*out.Truncated {
		t.Errorf("a page of %d", len(out.CustomKeyStores))
	}
	out = get[kmsapi.DescribeCustomKeyStoresResponse](root, &kmsapi.DescribeCustomKeyStoresRequest{Limit: new(int32(6)), Marker: out.NextMarker})
	if len(out.CustomKeyStores) != 4 || *out.Truncated || out.NextMarker != nil {
		t.Errorf("a last page of %d", len(out.CustomKeyStores))
	}
	wantErr(t, root.try(&kmsapi.DescribeCustomKeyStoresRequest{CustomKeyStoreName: new("a"), CustomKeyStoreId: &id}), "ValidationException", "*")
	wantErr(t, root.try(&kmsapi.DescribeCustomKeyStoresRequest{CustomKeyStoreName: new("nobody")}), "CustomKeyStoreNotFoundException", "*")
	wantErr(t, root.try(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, NewCustomKeyStoreName: new("store 1")}), "CustomKeyStoreNameInUseException", "*")
	root.must(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, NewCustomKeyStoreName: new("new"), XksProxyUriEndpoint: new("https://a.example.com")})
	if st := root.store(id); *st.CustomKeyStoreName != "new" || *st.XksProxyConfiguration.UriEndpoint != "https://a.example.com" {
		t.Errorf("store = %+v", st)
	}
	for _, op := range []any{
		&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: new("cks-1")}, &kmsapi.DisconnectCustomKeyStoreRequest{CustomKeyStoreId: new("cks-1")},
		&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: new("cks-1")}, &kmsapi.DeleteCustomKeyStoreRequest{CustomKeyStoreId: new("cks-1")},
		&kmsapi.GenerateRandomRequest{CustomKeyStoreId: new("cks-1"), NumberOfBytes: new(int32(1))}, externalKey("cks-1", "ext-1"),
	} {
		wantErr(t, root.try(op), "CustomKeyStoreNotFoundException", "*")
	}
	wantErr(t, root.try(&kmsapi.GenerateRandomRequest{CustomKeyStoreId: &id, NumberOfBytes: new(int32(1))}), "UnsupportedOperationException", "*")
	nobody := w.user(owner, "nobody")
	wantErr(t, nobody.try(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id}), "AccessDeniedException", "*")
	wantErr(t, w.root(other).try(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id}), "CustomKeyStoreNotFoundException", "*")
}

func TestWhatCanBeUpdatedWhileConnected(t *testing.T) {
	_, _, root := external(t)
	id := root.connected("store")
	root.must(&kmsapi.ConnectCustomKeyStoreRequest{CustomKeyStoreId: &id}) // it is
	root.must(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, NewCustomKeyStoreName: new("n"), XksProxyUriPath: new(proxyPath),
		XksProxyAuthenticationCredential: storeRequest("x").XksProxyAuthenticationCredential})
	wantErr(t, root.try(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, XksProxyUriEndpoint: new("https://b.example.com")}),
		"CustomKeyStoreInvalidStateException", "*")
	wantErr(t, root.try(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, XksProxyConnectivity: new("VPC_ENDPOINT_SERVICE"),
		XksProxyVpcEndpointServiceName: new("com.amazonaws.vpce.us-west-2.vpce-svc-0e3f4a")}), "CustomKeyStoreInvalidStateException", "*")
	wantErr(t, root.try(&kmsapi.UpdateCustomKeyStoreRequest{CustomKeyStoreId: &id, KeyStorePassword: new(secret.String("kmsuserpassword"))}), "ValidationException", "*")
	for _, c := range []struct {
		in   *kmsapi.CreateKeyRequest
		code string
	}{
		{&kmsapi.CreateKeyRequest{CustomKeyStoreId: &id}, "ValidationException"},
		{&kmsapi.CreateKeyRequest{XksKeyId: new("ext-2")}, "ValidationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: &id}, "ValidationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL_KEY_STORE"), XksKeyId: new("ext-2")}, "ValidationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: &id, XksKeyId: new("ext-2"), KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")}, "ValidationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("EXTERNAL_KEY_STORE"), CustomKeyStoreId: &id, XksKeyId: new("ext-2"), MultiRegion: new(true)}, "UnsupportedOperationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("AWS_CLOUDHSM"), CustomKeyStoreId: &id}, "UnsupportedOperationException"},
		{&kmsapi.CreateKeyRequest{Origin: new("AWS_CLOUDHSM"), CustomKeyStoreId: new("cks-0123456789abcdef0")}, "CustomKeyStoreNotFoundException"},
		{&kmsapi.CreateKeyRequest{Origin: new("AWS_CLOUDHSM")}, "ValidationException"},
	} {
		wantErr(t, root.try(c.in), c.code, "*")
	}
}
