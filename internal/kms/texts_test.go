package kms_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/kmsapi"
)

// Texts that no other test has. Sources: recorded answers of AWS, and texts that its users report.
func TestTextsOfRefusals(t *testing.T) {
	w := newWorld(t)
	root := w.root(owner)
	key := root.newKey()
	one := "1 validation error detected: "
	days := func(n int32, bound string) string {
		return one + "Value '" + strconv.Itoa(int(n)) + "' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value " + bound
	}
	all := statement("Allow", "*", `{"ForAllValues:StringEquals":{"kms:EncryptionContext:a":"b"}}`, "kms:Decrypt")
	for name, tt := range map[string]struct {
		in            any
		code, message string
	}{
		"window of 6 days":  {&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(6))}, "ValidationException", days(6, "greater than or equal to 7")},
		"window of 31 days": {&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(31))}, "ValidationException", days(31, "less than or equal to 30")},
		"window of no days": {&kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(0))}, "ValidationException", days(0, "greater than or equal to 1")},
		"ForAllValues on a context": {&kmsapi.PutKeyPolicyRequest{KeyId: &key, Policy: new(document(rootStatement(owner), all))}, "MalformedPolicyDocumentException",
			"OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified encryption context or with an unspecified encryption context. To fix, remove ForAllValues."},
		"operation that there is not": {&kmsapi.CreateGrantRequest{KeyId: &key, GranteePrincipal: new(root.arn()), Operations: []string{"Fly"}}, "ValidationException",
			one + "Value '[Fly]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [" +
				strings.Join(kmsapi.Service().Constraints["GrantOperation"].Enum, ", ") + "]]"},
		"usage of a digest":     {&kmsapi.SignRequest{KeyId: &key, Message: []byte("m"), SigningAlgorithm: new("ECDSA_SHA_256")}, "InvalidKeyUsageException", key + " key usage is ENCRYPT_DECRYPT which is not valid for Sign."},
		"key of another Region": {&kmsapi.DescribeKeyRequest{KeyId: new("arn:aws:kms:eu-central-1:" + owner + ":key/" + missing)}, "NotFoundException", "Invalid arn eu-central-1"},
		"no id at all":          {&kmsapi.DescribeKeyRequest{KeyId: new("mrk-fake-key-id")}, "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"},
	} {
		w.run(name, func(t *testing.T) {
			wantErr(t, root.try(tt.in), tt.code, tt.message)
		})
	}
}
