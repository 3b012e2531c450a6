package actions_test

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/kms/attest/attesttest"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/testkit"
)

// The account that makes the requests, and another.
const (
	home  = "111122223333"
	other = "444455556666"
)

// drive makes one full request to each operation of each service.
func drive(t *testing.T, s *testkit.Server, h *attesttest.Hypervisor) {
	c := newCaller(t, s, testkit.Admin(home))
	driveIAM(c)
	c.do("iam:TagUser", in{"UserName": "admin", "Tags": []in{{"Key": "team", "Value": "blue"}}})
	driveKMS(c)
	driveAttested(c, h)
	driveSTS(t, s, c)
	driveEC2(s, c)
	driveAutoScaling(s, c)
	driveRest(t, s, c)
	driveEBS(s, c)
}

// driveKMS: keys with tags and an alias, requests by alias with an encryption context.
func driveKMS(c caller) {
	context := in{"purpose": "test"}
	id := c.do("kms:CreateKey", in{
		"Description": "d", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS", "MultiRegion": true,
		"Policy":                         `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"kms:*","Resource":"*"}}`,
		"BypassPolicyLockoutSafetyCheck": true, "Tags": []in{{"TagKey": "team", "TagValue": "red"}},
	}).str("KeyMetadata.KeyId")
	c.do("kms:CreateAlias", in{"AliasName": "alias/a", "TargetKeyId": id})
	second := c.do("kms:CreateKey", in{"MultiRegion": true, "Tags": []in{{"TagKey": "team", "TagValue": "red"}}}).str("KeyMetadata.KeyId")
	c.do("kms:CreateAlias", in{"AliasName": "alias/b", "TargetKeyId": second})
	key := in{"KeyId": id}
	c.do("kms:CreateAlias", in{"AliasName": "alias/gone", "TargetKeyId": id})
	c.do("kms:UpdateAlias", in{"AliasName": "alias/gone", "TargetKeyId": second})
	c.do("kms:DeleteAlias", in{"AliasName": "alias/gone"})
	c.do("kms:ListAliases", in{})
	c.do("kms:ListKeys", in{})
	c.do("kms:DescribeKey", in{"KeyId": "alias/a"})
	doc := c.do("kms:GetKeyPolicy", in{"KeyId": id, "PolicyName": "default"}).str("Policy")
	c.do("kms:PutKeyPolicy", in{"KeyId": id, "PolicyName": "default", "Policy": doc, "BypassPolicyLockoutSafetyCheck": true})
	c.do("kms:ListKeyPolicies", key)
	c.do("kms:GetKeyLastUsage", key)
	c.do("kms:UpdateKeyDescription", in{"KeyId": id, "Description": "e"})
	c.do("kms:TagResource", in{"KeyId": id, "Tags": []in{{"TagKey": "team", "TagValue": "red"}}})
	c.do("kms:ListResourceTags", key)
	c.do("kms:EnableKeyRotation", in{"KeyId": id, "RotationPeriodInDays": 100})
	c.do("kms:GetKeyRotationStatus", key)
	c.do("kms:RotateKeyOnDemand", key)
	c.do("kms:ListKeyRotations", key)
	c.do("kms:DisableKeyRotation", key)

	byAlias := in{"KeyId": "alias/a", "EncryptionContext": context}
	text := c.do("kms:Encrypt", in{"KeyId": "alias/a", "Plaintext": "x", "EncryptionContext": context, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}).bytes("CiphertextBlob")
	c.do("kms:Decrypt", in{"KeyId": "alias/a", "CiphertextBlob": text, "EncryptionContext": context, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
	c.do("kms:ReEncrypt", in{
		"CiphertextBlob": text, "SourceKeyId": "alias/a", "SourceEncryptionContext": context, "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
		"DestinationKeyId": "alias/b", "DestinationEncryptionContext": context, "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
	})
	c.do("kms:GenerateDataKey", in{"KeyId": "alias/a", "EncryptionContext": context, "KeySpec": "AES_256"})
	c.do("kms:GenerateDataKeyWithoutPlaintext", in{"KeyId": byAlias["KeyId"], "EncryptionContext": context, "KeySpec": "AES_256"})
	c.do("kms:GenerateRandom", in{"NumberOfBytes": 16})
	c.do("kms:DescribeCustomKeyStores", in{})
	c.try("kms:CreateCustomKeyStore", in{"CustomKeyStoreName": "store"}) // of AWS CloudHSM, which there is not
	for _, op := range []string{"Connect", "Disconnect", "Update", "Delete"} {
		c.try("kms:"+op+"CustomKeyStore", in{"CustomKeyStoreId": "cks-1234567890abcdef0"})
	}
	c.do("kms:GenerateDataKeyPair", in{"KeyId": "alias/a", "EncryptionContext": context, "KeyPairSpec": "ECC_NIST_P256"})
	c.do("kms:GenerateDataKeyPairWithoutPlaintext", in{"KeyId": "alias/a", "EncryptionContext": context, "KeyPairSpec": "ECC_NIST_P256"})
	driveKinds(c)
	driveImport(c)
	c.do("kms:ReplicateKey", in{"KeyId": id, "ReplicaRegion": "eu-west-1", "Tags": []in{{"TagKey": "team", "TagValue": "red"}}})
	c.do("kms:UpdatePrimaryRegion", in{"KeyId": id, "PrimaryRegion": "eu-west-1"})
	driveGrants(c, id, context)

	c.do("kms:DisableKey", key)
	c.do("kms:EnableKey", key)
	c.do("kms:ScheduleKeyDeletion", in{"KeyId": second, "PendingWindowInDays": 7})
	c.do("kms:CancelKeyDeletion", in{"KeyId": second})
	c.do("kms:UntagResource", in{"KeyId": id, "TagKeys": "team"})
}

// driveAttested: requests from an enclave and from an instance with NitroTPM.
func driveAttested(c caller, h *attesttest.Hypervisor) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	enclave, tpm := h.Fields(&key.PublicKey), h.Fields(&key.PublicKey)
	tpm["nitrotpm_pcrs"] = tpm["pcrs"]
	delete(tpm, "pcrs")
	for _, fields := range []map[string]any{enclave, tpm} {
		to := in{"AttestationDocument": h.Sign(c.t, fields), "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
		text := c.do("kms:GenerateDataKey", in{"KeyId": "alias/a", "KeySpec": "AES_256", "Recipient": to}).bytes("CiphertextBlob")
		c.do("kms:Decrypt", in{"CiphertextBlob": text, "Recipient": to})
		c.do("kms:GenerateDataKeyPair", in{"KeyId": "alias/a", "KeyPairSpec": "ECC_NIST_P256", "Recipient": to})
		c.do("kms:GenerateRandom", in{"NumberOfBytes": 16, "Recipient": to})
		public := c.do("kms:GetPublicKey", in{"KeyId": "alias/KEY_AGREEMENT"}).bytes("PublicKey")
		c.do("kms:DeriveSharedSecret", in{"KeyId": "alias/KEY_AGREEMENT", "KeyAgreementAlgorithm": "ECDH", "PublicKey": public, "Recipient": to})
	}
}

// driveKinds: keys that are not for symmetric encryption, by alias.
func driveKinds(c caller) {
	for spec, usage := range map[string]string{
		"ECC_NIST_P256": "SIGN_VERIFY", "ECC_NIST_P384": "KEY_AGREEMENT", "HMAC_256": "GENERATE_VERIFY_MAC", "ML_KEM_768": "ENCAPSULATE_DECAPSULATE",
	} {
		id := c.do("kms:CreateKey", in{"KeySpec": spec, "KeyUsage": usage, "MultiRegion": true, "Tags": []in{{"TagKey": "team", "TagValue": "red"}}}).str("KeyMetadata.KeyId")
		c.do("kms:CreateAlias", in{"AliasName": "alias/" + usage, "TargetKeyId": id})
	}
	with := func(usage, algorithm, name string, more in) in {
		all := in{"KeyId": "alias/" + usage, algorithm: name}
		maps.Copy(all, more)
		return all
	}
	sig := c.do("kms:Sign", with("SIGN_VERIFY", "SigningAlgorithm", "ECDSA_SHA_256", in{"Message": "m", "MessageType": "RAW"})).bytes("Signature")
	c.do("kms:Verify", with("SIGN_VERIFY", "SigningAlgorithm", "ECDSA_SHA_256", in{"Message": "m", "MessageType": "RAW", "Signature": sig}))
	mac := c.do("kms:GenerateMac", with("GENERATE_VERIFY_MAC", "MacAlgorithm", "HMAC_SHA_256", in{"Message": "m"})).bytes("Mac")
	c.do("kms:VerifyMac", with("GENERATE_VERIFY_MAC", "MacAlgorithm", "HMAC_SHA_256", in{"Message": "m", "Mac": mac}))
	public := c.do("kms:GetPublicKey", in{"KeyId": "alias/KEY_AGREEMENT"}).bytes("PublicKey")
	c.do("kms:DeriveSharedSecret", with("KEY_AGREEMENT", "KeyAgreementAlgorithm", "ECDH", in{"PublicKey": public}))
	blob := c.do("kms:Encapsulate", with("ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithm", "ML_KEM", nil)).bytes("SharedSecretCiphertextBlob")
	c.do("kms:Decapsulate", with("ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithm", "ML_KEM", in{"SharedSecretCiphertextBlob": blob}))
}

// driveImport: a key whose material is imported.
func driveImport(c caller) {
	id := c.do("kms:CreateKey", in{"Origin": "EXTERNAL", "MultiRegion": true, "Tags": []in{{"TagKey": "team", "TagValue": "red"}}}).str("KeyMetadata.KeyId")
	c.do("kms:CreateAlias", in{"AliasName": "alias/external", "TargetKeyId": id})
	p := c.do("kms:GetParametersForImport", in{"KeyId": id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})
	// That it cannot be unwrapped is found after the decision.
	_, err := c.try("kms:ImportKeyMaterial", in{
		"KeyId": id, "ImportToken": p.bytes("ImportToken"), "EncryptedKeyMaterial": "x", "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": time.Now().Add(time.Hour),
	})
	if err == nil {
		c.t.Error("nothing was imported")
	}
	c.do("kms:DeleteImportedKeyMaterial", in{"KeyId": id})
}

func driveGrants(c caller, id string, context in) {
	me := "arn:aws:iam::" + home + ":user/admin"
	source := "arn:aws:ec2:us-east-1:" + home + ":volume/vol-1"
	grant := func(constraints string) in {
		return in{
			"KeyId": id, "GranteePrincipal": me, "RetiringPrincipal": me, "Operations": []string{"Decrypt", "RetireGrant"}, "Name": constraints,
			"Constraints": in{constraints: context, "SourceArn": source},
		}
	}
	first := c.do("kms:CreateGrant", grant("EncryptionContextSubset")).str("GrantId")
	last := c.do("kms:CreateGrant", grant("EncryptionContextEquals")).str("GrantId")
	c.do("kms:CreateGrant", in{
		"KeyId": id, "GranteeServicePrincipal": "ebs.amazonaws.com", "RetiringServicePrincipal": "ec2.us-east-1.amazonaws.com",
		"Operations": "Decrypt", "Constraints": in{"EncryptionContextSubset": context, "SourceArn": source},
	})
	c.do("kms:ListGrants", in{"KeyId": id})
	c.do("kms:ListRetirableGrants", in{"RetiringPrincipal": me})
	c.do("kms:RevokeGrant", in{"KeyId": id, "GrantId": first})
	c.do("kms:RetireGrant", in{"KeyId": "arn:aws:kms:us-east-1:" + home + ":key/" + id, "GrantId": last})
}

// driveSTS: a role that is assumed with tags, source identity and external id, and what its session
// carries.
func driveSTS(t *testing.T, s *testkit.Server, c caller) {
	c.do("iam:CreateRole", in{
		"RoleName": "assumed", "Tags": []in{{"Key": "team", "Value": "red"}},
		"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}`,
	})
	c.do("iam:AttachRolePolicy", in{"RoleName": "assumed", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
	out := c.do("sts:AssumeRole", in{
		"RoleArn": "arn:aws:iam::" + home + ":role/assumed", "RoleSessionName": "one", "ExternalId": "external", "SourceIdentity": "ana",
		"Tags": []in{{"Key": "team", "Value": "green"}}, "TransitiveTagKeys": "team",
	})
	session := newCaller(t, s, sigv4.Credentials{
		AccessKeyID: out.str("Credentials.AccessKeyId"), Secret: secret.String(out.str("Credentials.SecretAccessKey")), SessionToken: out.str("Credentials.SessionToken"),
	})
	c.do("sts:GetCallerIdentity", in{})
	c.do("sts:GetSessionToken", in{})
	c.do("sts:GetFederationToken", in{"Name": "bob", "Tags": []in{{"Key": "team", "Value": "green"}}})
	id := c.do("iam:CreateAccessKey", in{"UserName": "ana"}).str("AccessKey.AccessKeyId")
	c.do("sts:GetAccessKeyInfo", in{"AccessKeyId": id})
	session.do("kms:ListKeys", in{})
}
