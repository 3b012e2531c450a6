package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// certificate writes a certificate of a host, which is its own authority, and its key.
func certificate(t *testing.T, host string) (cert, key string) {
	t.Helper()
	priv := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, priv.Public(), priv))(t)
	private := must(x509.MarshalPKCS8PrivateKey(priv))(t)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// freePort is an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().String()
}

// xksCredential makes a credential of the proxy with the command line.
func (c *client) xksCredential(t *testing.T, role, key string) *kmstypes.XksProxyAuthenticationCredentialType {
	t.Helper()
	out := filepath.Join(t.TempDir(), "credential.json")
	cmd := exec.Command(must(server.Binary())(t), "xks", "credential", "create", "--role", role, "--key", key, "--path-prefix", "/acme", "--out", out)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+c.url, "AWS_REGION="+c.region, "AWS_ACCESS_KEY_ID="+c.creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.creds.SecretAccessKey)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var cred kmstypes.XksProxyAuthenticationCredentialType
	if err := json.Unmarshal(must(os.ReadFile(out))(t), &cred); err != nil {
		t.Fatal(err)
	}
	return &cred
}

// One server is the external key store of itself, for another account: through TLS on a second
// listener, as it would be AWS's.
func TestExternalKeyStore(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, "xks.example.com")
	proxy := freePort(t)
	s := server.Start(t, t.TempDir()+"/data", "--xks-listen", proxy, "--xks-tls-cert", cert, "--xks-tls-key", key,
		"--outbound-ca", cert, "--outbound-connect", "xks.example.com="+proxy, "--xks-timeout", "30s")
	keeper, c := adminOf(s.URL, seed.NewAccount()), adminOf(s.URL, seed.NewAccount())
	ctx := t.Context()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cks.kms.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt","kms:DescribeKey"],"Resource":"*"}]}`
	role := must(keeper.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: new("aws"), AssumeRolePolicyDocument: &trust}))(t).Role
	must(keeper.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: new("aws"), PolicyName: new("p"), PolicyDocument: &allow}))(t)
	external := must(keeper.kms.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata
	cred := keeper.xksCredential(t, *role.Arn, *external.Arn)

	create := kms.CreateCustomKeyStoreInput{
		CustomKeyStoreName: new("store"), CustomKeyStoreType: kmstypes.CustomKeyStoreTypeExternalKeyStore,
		XksProxyConnectivity: kmstypes.XksProxyConnectivityTypePublicEndpoint, XksProxyUriEndpoint: new("https://xks.example.com"),
		XksProxyUriPath: new("/acme/kms/xks/v1"), XksProxyAuthenticationCredential: cred,
	}
	wrong := create
	wrong.XksProxyAuthenticationCredential = &kmstypes.XksProxyAuthenticationCredentialType{AccessKeyId: cred.AccessKeyId, RawSecretAccessKey: new(strings.Repeat("A", 44))}
	refused(c.kms.CreateCustomKeyStore(ctx, &wrong))(t, "XksProxyIncorrectAuthenticationCredentialException")
	elsewhere := create
	elsewhere.XksProxyUriEndpoint = new("https://127.0.0.1")
	refused(c.kms.CreateCustomKeyStore(ctx, &elsewhere))(t, "XksProxyUriUnreachableException")
	id := must(c.kms.CreateCustomKeyStore(ctx, &create))(t).CustomKeyStoreId
	refused(c.kms.CreateCustomKeyStore(ctx, &create))(t, "CustomKeyStoreNameInUseException")
	must(c.kms.UpdateCustomKeyStore(ctx, &kms.UpdateCustomKeyStoreInput{CustomKeyStoreId: id, NewCustomKeyStoreName: new("renamed")}))(t)
	must(c.kms.ConnectCustomKeyStore(ctx, &kms.ConnectCustomKeyStoreInput{CustomKeyStoreId: id}))(t)
	s.Advance(t, time.Second) // waits for what runs
	store := must(c.kms.DescribeCustomKeyStores(ctx, &kms.DescribeCustomKeyStoresInput{CustomKeyStoreName: new("renamed")}))(t).CustomKeyStores[0]
	if store.ConnectionState != kmstypes.ConnectionStateTypeConnected || *store.XksProxyConfiguration.AccessKeyId != *cred.AccessKeyId || store.CreationDate == nil {
		t.Errorf("store = %+v", store)
	}
	made := must(c.kms.CreateKey(ctx, &kms.CreateKeyInput{Origin: kmstypes.OriginTypeExternalKeyStore, CustomKeyStoreId: id, XksKeyId: external.KeyId}))(t).KeyMetadata
	if made.Origin != kmstypes.OriginTypeExternalKeyStore || *made.XksKeyConfiguration.Id != *external.KeyId || *made.CustomKeyStoreId != *id {
		t.Errorf("metadata = %+v", made)
	}
	blob := must(c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: made.Arn, Plaintext: []byte("secret"), EncryptionContext: map[string]string{"a": "b"}}))(t).CiphertextBlob
	if out := must(c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: map[string]string{"a": "b"}}))(t); string(out.Plaintext) != "secret" {
		t.Errorf("decrypted %q", out.Plaintext)
	}
	data := must(c.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: made.Arn, KeySpec: kmstypes.DataKeySpecAes256}))(t)
	if out := must(c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: data.CiphertextBlob}))(t); !bytes.Equal(out.Plaintext, data.Plaintext) {
		t.Error("another data key")
	}
	refused(c.kms.DeleteCustomKeyStore(ctx, &kms.DeleteCustomKeyStoreInput{CustomKeyStoreId: id}))(t, "CustomKeyStoreInvalidStateException")
	must(c.kms.DisconnectCustomKeyStore(ctx, &kms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: id}))(t)
	refused(c.kms.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: data.CiphertextBlob}))(t, "KMSInvalidStateException", "not connected to its external key store proxy")
	refused(c.kms.DeleteCustomKeyStore(ctx, &kms.DeleteCustomKeyStoreInput{CustomKeyStoreId: id}))(t, "CustomKeyStoreHasCMKsException")
	must(c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: made.Arn, PendingWindowInDays: new(int32(7))}))(t)
	s.Advance(t, 8*24*time.Hour)
	must(c.kms.DeleteCustomKeyStore(ctx, &kms.DeleteCustomKeyStoreInput{CustomKeyStoreId: id}))(t)
	refused(c.kms.DescribeCustomKeyStores(ctx, &kms.DescribeCustomKeyStoresInput{CustomKeyStoreId: id}))(t, "CustomKeyStoreNotFoundException")
}
