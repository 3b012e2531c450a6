package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cttypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// sharedImage is an image of the owner under the key, which the user may launch.
func (e example2) sharedImage(t *testing.T) string {
	t.Helper()
	img := e.owner.imageUnder(t, e.key)
	e.owner.shareImage(t, img, e.user.account)
	return img
}

func TestS28_AGroupLaunchesAnImageSharedByTheKeysAccountUnderItsKey(t *testing.T) {
	e := newExample2(t, p3, p4)
	img := e.sharedImage(t)
	e.delegate(t)
	// A shared image never keeps its key by itself; the template names it.
	g := e.user.groupOf(t, img, 1, rootDevice(e.key))
	id := g.launchOK(t, 1, e.owner, map[string]string{"/dev/xvda": e.key})[0]
	for _, action := range []string{"kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant"} {
		e.user.because(t, id, action, e.key, statement{PolicyType: "GRANT"})
	}
}

func TestS28_AGroupReEncryptsASharedImageUnderAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, setUp := range map[string]func(*testing.T, example2) (own string, devices []device){
		"key in the template": func(t *testing.T, e example2) (string, []device) {
			own := e.user.seedKey(t)
			return own, []device{rootDevice(own)}
		},
		"default key of the account": func(t *testing.T, e example2) (string, []device) {
			own := e.user.seedKey(t)
			e.user.defaultKey(t, own)
			return own, nil
		},
		"AWS managed key": func(t *testing.T, e example2) (string, []device) { return e.user.ebsKey(t), nil },
	} {
		t.Run(name, func(t *testing.T) {
			e := newExample2(t, p3, p4)
			img := e.sharedImage(t)
			own, devices := setUp(t, e)
			e.delegate(t)
			g := e.user.groupOf(t, img, 1, devices...)
			g.launchOK(t, 1, e.user, map[string]string{"/dev/xvda": own})
			// The key of the image was for the copy only.
			if all := e.owner.grants(t, e.key); len(all) != 1 || *all[0].GranteePrincipal != seed.Role(e.user.account) {
				t.Errorf("the grants on the image's key are %+v", all)
			}
		})
	}
}

func TestS28_ASharedImageNeedsBothKeys(t *testing.T) {
	e := newExample2(t, p3, p4)
	img := e.sharedImage(t)
	own := e.user.key(t, "") // the key that is often forgotten
	e.user.defaultKey(t, own)
	g := e.user.groupOf(t, img, 1)
	e.user.why(t, g.launchFail(t, e.owner, e.key)).denied(t, seed.Session(e.user.account), "kms:ReEncryptFrom", e.key, "aws kms create-grant")
	e.delegate(t)
	g.failsAgain(t, seed.Session(e.user.account), "kms:ReEncryptTo", own)
	role := seed.Role(e.user.account)
	e.user.setPolicy(t, own, seed.Full(seed.Root(e.user.account)), seed.Use(role), seed.Attach(role))
	g.launchOK(t, 1, e.user, map[string]string{"/dev/xvda": own})
}

// failsAgain waits for a failed launch that is refused for another reason than those before.
func (g group) failsAgain(t *testing.T, principal, action, key string) {
	t.Helper()
	eventually(t, "launch refused "+action, func() (bool, string) {
		for _, a := range g.activities(t) {
			m := launching.FindStringSubmatch(str(a.Description))
			if m == nil || a.EndTime == nil {
				continue
			}
			for _, why := range g.explain(t, m[1]) {
				for _, e := range why.Evaluations {
					if why.Principal == principal && e.EvaluatedEffect != "ALLOW" && e.Action == action && e.Resource == key {
						return true, ""
					}
				}
			}
		}
		return false, g.state(t)
	})
}

// From an encrypted image the grant needs the operations of re-encryption too, which are not
// needed from a plain one.
func TestS30_ASharedImageNeedsTheOperationsOfReEncryption(t *testing.T) {
	t.Parallel()
	for without, action := range map[kmstypes.GrantOperation]string{
		"ReEncryptFrom": "kms:ReEncryptFrom", "ReEncryptTo": "kms:ReEncryptTo", "CreateGrant": "kms:CreateGrant", "Decrypt": "kms:CreateGrant",
		"Encrypt": "", "GenerateDataKey": "", "GenerateDataKeyWithoutPlaintext": "", "DescribeKey": "",
	} {
		t.Run("without "+string(without), func(t *testing.T) {
			e := newExample2(t, p3, p4)
			img := e.sharedImage(t)
			u := e.user.user(t, "delegate", seed.Identity("kms:CreateGrant", e.key))
			in := e.grantInput()
			in.Operations = slices.DeleteFunc(in.Operations, func(o kmstypes.GrantOperation) bool { return o == without })
			must(u.kms.CreateGrant(t.Context(), in))(t)
			g := e.user.groupOf(t, img, 1, rootDevice(e.key))
			if action == "" {
				g.launchOK(t, 1, e.owner, map[string]string{"/dev/xvda": e.key})
				return
			}
			e.user.why(t, g.launchFail(t, e.owner, e.key)).denied(t, seed.Session(e.user.account), action, e.key, "aws kms create-grant")
		})
	}
}

func TestS28_WithoutTheImageSharedThereIsNoGroup(t *testing.T) {
	e := newExample2(t, p3, p4)
	img := e.owner.imageUnder(t, e.key)
	e.delegate(t)
	e.user.templateOf(t, "web", img)
	out, err := e.user.asg.CreateAutoScalingGroup(t.Context(), groupInput("web", 1))
	refused(out, err)(t, "ValidationError", "You must use a valid fully-formed launch template.", img)
}

func TestS28_ImagesUnderTheManagedKeyOrEncryptedOnesForAllAreNotShared(t *testing.T) {
	c := admin(t)
	managed, own := c.filledSnapshot(t, c.ebsKey(t)), c.filledSnapshot(t, c.key(t, ""))
	share := func(snapshot string, with ec2types.CreateVolumePermission) (any, error) {
		return c.ec2.ModifySnapshotAttribute(t.Context(), &modifySnapshot{
			SnapshotId: &snapshot, CreateVolumePermission: &ec2types.CreateVolumePermissionModifications{Add: []ec2types.CreateVolumePermission{with}},
		})
	}
	out, err := share(managed, ec2types.CreateVolumePermission{UserId: new(seed.NewAccount())})
	refused(out, err)(t, "OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
	out, err = share(own, ec2types.CreateVolumePermission{Group: ec2types.PermissionGroupAll})
	refused(out, err)(t, "OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
}

// history is the account's events of a name from CloudTrail's history, as records.
func (c *client) history(t *testing.T, name string) []record {
	t.Helper()
	in := &cloudtrail.LookupEventsInput{
		LookupAttributes: []cttypes.LookupAttribute{{AttributeKey: cttypes.LookupAttributeKeyEventName, AttributeValue: &name}},
		StartTime:        new(time.Now().Add(-time.Hour)),
	}
	var out []record
	for p := cloudtrail.NewLookupEventsPaginator(c.events, in); p.HasMorePages(); {
		for _, e := range must(p.NextPage(t.Context()))(t).Events {
			var r record
			if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &r); err != nil {
				t.Fatalf("%v in %s", err, *e.CloudTrailEvent)
			}
			if *e.EventName != name || r.EventName != name || r.EventSource != *e.EventSource {
				t.Errorf("event %s is the record %+v", *e.EventId, r)
			}
			out = append(out, r)
		}
	}
	return out
}

// byShared are records by the id that both accounts' histories share.
func byShared(all []record) map[string]record {
	out := map[string]record{}
	for _, r := range all {
		if r.SharedEventID != "" {
			out[r.SharedEventID] = r
		}
	}
	return out
}

func TestS28_BothAccountsFindTheUseOfTheKeyInTheirHistory(t *testing.T) {
	e := newExample2(t, p3, p4)
	e.delegate(t)
	e.launchOK(t)
	for name, n := range map[string]int{"GenerateDataKeyWithoutPlaintext": 2, "CreateGrant": 4, "Decrypt": 3} {
		var users, owners map[string]record
		eventually(t, "history of "+name, func() (bool, string) {
			users, owners = byShared(e.user.history(t, name)), byShared(e.owner.history(t, name))
			return len(users) >= n && len(owners) >= len(users), ""
		})
		for id, u := range users {
			o, ok := owners[id]
			if !ok {
				t.Errorf("%s %s is missing in the history of the key's owner", name, id)
				continue
			}
			if !strings.Contains(string(must(json.Marshal(o.Resources))(t)), e.key) || u.RequestID != o.RequestID {
				t.Errorf("%s %s: the owner sees %+v, the user %+v", name, id, o, u)
			}
		}
		// The page's grant was made by a user; all else was done as the role or for it.
		for _, u := range users {
			if u.UserIdentity.AccountID != e.user.account && u.UserIdentity.InvokedBy == "" {
				t.Errorf("%s is recorded as done by %+v", name, u.UserIdentity)
			}
		}
	}
	use := e.user.history(t, "GenerateDataKeyWithoutPlaintext")[0]
	if use.UserIdentity.ARN != seed.Session(e.user.account) {
		t.Errorf("the use is recorded as %s", use.UserIdentity.ARN)
	}
	third := adminOf(e.user.url, seed.NewAccount())
	if all := third.history(t, "GenerateDataKeyWithoutPlaintext"); len(all) != 0 {
		t.Errorf("a third account sees %+v", all)
	}
	// What was refused is in the history too.
	u := e.user.user(t, "someone")
	out, err := u.kms.DescribeKey(t.Context(), &kmsDescribe{KeyId: &e.key})
	refused(out, err)(t, "AccessDeniedException")
	eventually(t, "refused DescribeKey in the history", func() (bool, string) {
		for _, r := range e.user.history(t, "DescribeKey") {
			if r.UserIdentity.ARN == u.arn(t) && strings.HasPrefix(r.ErrorCode, "AccessDenied") {
				return true, ""
			}
		}
		return false, "not there"
	})
}
