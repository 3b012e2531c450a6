package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// Short names.
type (
	iamRole        = iamtypes.Role
	kmsDescribe    = kms.DescribeKeyInput
	activity       = astypes.Activity
	describeGroups = autoscaling.DescribeAutoScalingGroupsInput
	deleteTemplate = ec2.DeleteLaunchTemplateInput
	modifySnapshot = ec2.ModifySnapshotAttributeInput
)

// A record is what the tests read of the audit trail, which is CloudTrail-shaped JSON by line in
// the data directory.
type record struct {
	EventName, EventSource, ErrorCode, SharedEventID, RequestID string
	UserIdentity                                                struct{ Type, ARN, AccountID, InvokedBy string }
	RequestParameters, ResponseElements                         json.RawMessage
	Resources                                                   []resource
}

// A resource is one that a record is about.
type resource struct{ ARN, AccountID string }

// records reads the whole trail of the shared server.
func records(t *testing.T) []record {
	t.Helper()
	var out []record
	files := must(filepath.Glob(filepath.Join(shared.Dir, "trail", "*")))(t)
	slices.Sort(files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var r record
			if json.Unmarshal(lines.Bytes(), &r) == nil && r.EventName != "" {
				out = append(out, r)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// recordsOf are the account's records of an event, in order.
func (c *client) recordsOf(t *testing.T, event string) []record {
	t.Helper()
	return slices.DeleteFunc(records(t), func(r record) bool { return r.EventName != event || r.UserIdentity.AccountID != c.account })
}

// record waits for a record of the account.
func (c *client) record(t *testing.T, event string, match func(record) bool) record {
	t.Helper()
	var found record
	eventually(t, "trail record of "+event, func() (bool, string) {
		all := c.recordsOf(t, event)
		i := slices.IndexFunc(all, match)
		if i < 0 {
			return false, "not in the trail"
		}
		found = all[i]
		return true, ""
	})
	return found
}
