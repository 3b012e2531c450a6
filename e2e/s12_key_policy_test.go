package e2e_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

func TestS12_TheTwoStatementsMakeTheDifference(t *testing.T) {
	t.Parallel()
	for name, devices := range map[string]func(key string) []device{
		"root device":      func(key string) []device { return []device{rootDevice(key)} },
		"data device":      func(key string) []device { return []device{dataDevice(key)} },
		"root and data":    func(key string) []device { return []device{rootDevice(key), dataDevice(key)} },
		"managed and mine": func(key string) []device { return []device{rootDevice(""), dataDevice(key)} },
	} {
		t.Run(name+" without", func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.key(t, "")
			c.group(t, 1, devices(key)...).launchFail(t, c, key)
		})
		t.Run(name+" with", func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.seedKey(t)
			want := map[string]string{}
			for _, d := range devices(key) {
				want[*d.DeviceName] = str(d.Ebs.KmsKeyId)
				if d.Ebs.KmsKeyId == nil {
					want[*d.DeviceName] = c.ebsKey(t)
				}
			}
			c.group(t, 1, devices(key)...).launchOK(t, 1, c, want)
		})
	}
}

func TestS13_ThePolicyGivenAtCreationWorksAtOnce(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 1, rootDevice(key))
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})
	if all := g.activities(t); len(all) != 1 {
		t.Errorf("it took %d activities: %s", len(all), g.state(t))
	}
}

func TestS13_TheGroupRecoversByItselfWhenThePolicyChanges(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.key(t, "")
	g := c.group(t, 1, rootDevice(key), dataDevice(key))
	failed := g.launchFail(t, c, key)
	role := seed.Role(c.account)
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	ids := g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key, "/dev/sdf": key})
	if ids[0] == failed {
		t.Errorf("the failed instance %s came back to life", failed)
	}
	if n := len(c.volumes(t)); n != 2 {
		t.Errorf("%d volumes exist, want 2", n)
	}
}

func TestS13_AWithdrawnPolicyStopsTheNextLaunchAndNotTheRunningInstance(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	g := c.group(t, 1, dataDevice(key))
	ids := g.launchOK(t, 1, c, map[string]string{"/dev/sdf": key})
	c.setPolicy(t, key, seed.Full(seed.Root(c.account)))
	g.scale(t, 2)
	eventually(t, "failed launch of the second instance", func() (bool, string) {
		for _, a := range g.activities(t) {
			if a.StatusCode == "Cancelled" && str(a.StatusMessage) == diedText {
				return true, ""
			}
		}
		return false, g.state(t)
	})
	if i := c.instance(t, ids[0]); i.State.Name != "running" {
		t.Errorf("the first instance is %s", i.State.Name)
	}
}

func TestS14_TheFirstStatementAloneIsNotEnough(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]func(string) device{"empty device": dataDevice, "plain image": rootDevice} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(seed.Role(c.account))))
			id := c.group(t, 1, d(key)).launchFail(t, c, key)
			c.why(t, id).denied(t, seed.Session(c.account), "kms:CreateGrant", key, "key-policy", seed.Role(c.account), "kms:CreateGrant")

			made := c.recordsOf(t, "GenerateDataKeyWithoutPlaintext")
			switch {
			case name == "empty device" && (len(made) == 0 || made[0].ErrorCode != ""):
				t.Errorf("the data key was not generated before: %+v", made)
			case name == "plain image" && len(made) != 0:
				t.Errorf("a data key was asked for although CreateGrant comes first: %+v", made)
			}
		})
	}
}

func TestS15_TheSecondStatementAloneIsNotEnough(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]func(string) device{"empty device": dataDevice, "plain image": rootDevice} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Attach(seed.Role(c.account))))
			id := c.group(t, 1, d(key)).launchFail(t, c, key)
			c.why(t, id).denied(t, seed.Session(c.account), "kms:GenerateDataKeyWithoutPlaintext", key, "key-policy", seed.Role(c.account))
			for _, r := range c.recordsOf(t, "CreateGrant") {
				if grantee := string(r.RequestParameters); r.ErrorCode == "" && containsInfra(grantee) {
					t.Errorf("a grant for the instance was made: %s", grantee)
				}
			}
		})
	}
}

func TestS15_TheSecondStatementAloneIsNotEnoughForAnEncryptedImage(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Attach(seed.Role(c.account))))
	id := c.groupOf(t, c.imageUnder(t, key), 1).launchFail(t, c, key)
	c.why(t, id).denied(t, seed.Session(c.account), "kms:ReEncryptFrom", key, "key-policy", seed.Role(c.account))
}

func TestS12_StatementsForAnotherPrincipalDoNotHelp(t *testing.T) {
	t.Parallel()
	for name, principal := range map[string]func(*testing.T, *client) string{
		"role of another account": func(t *testing.T, _ *client) string {
			other := adminOf(shared.URL, seed.NewAccount())
			other.serviceRole(t)
			return seed.Role(other.account)
		},
		"another service-linked role": func(t *testing.T, c *client) string {
			arn, _ := c.role(t, "AutoScalingHelper")
			return arn
		},
		"user": func(t *testing.T, c *client) string { return c.user(t, "someone").arn(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := admin(t)
			c.serviceRole(t)
			who := principal(t, c)
			key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(who), seed.Attach(who)))
			id := c.group(t, 1, dataDevice(key)).launchFail(t, c, key)
			c.why(t, id).denied(t, seed.Session(c.account), "kms:GenerateDataKeyWithoutPlaintext", key)
		})
	}
}

func TestS12_AnExplicitDenyOverridesTheStatements(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	role := seed.Role(c.account)
	deny := `{"Sid":"NoGrants","Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:CreateGrant","Resource":"*"}`
	key := c.key(t, seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role), deny))
	id := c.group(t, 1, dataDevice(key)).launchFail(t, c, key)
	c.why(t, id).denied(t, seed.Session(c.account), "kms:CreateGrant", key, "EXPLICIT_DENY", "NoGrants",
		"with an explicit deny in a resource-based policy")
}

func TestS12_ADisabledKeyFailsTheLaunchAndIsNamedAsTheReason(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.seedKey(t)
	must(c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))(t)
	g := c.group(t, 1, rootDevice(key))
	id := g.launchFail(t, c, key)
	if why := c.why(t, id); why.ErrorCode != "DisabledException" || why.ErrorMessage != key+" is disabled." {
		t.Errorf("the explanation is %s", why.text())
	}
	must(c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}))(t)
	g.launchOK(t, 1, c, map[string]string{"/dev/xvda": key})
}

func TestS12_APolicyMayNotNameARoleThatDoesNotExist(t *testing.T) {
	c := admin(t)
	role := seed.Role(c.account)
	policy := seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))
	out, err := c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: &policy})
	refused(out, err)(t, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
	if n := len(must(c.kms.ListKeys(t.Context(), &kms.ListKeysInput{}))(t).Keys); n != 0 {
		t.Errorf("the refused key exists: %d keys", n)
	}
	c.serviceRole(t)
	must(c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: &policy}))(t)
}
