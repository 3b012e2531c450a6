package e2e_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/kagimori/kagimori/e2e/internal/seed"
)

// The actions of the page's first statement.
var useActions = []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}

// useWithout is the page's first statement without an action.
func useWithout(principal, action string) string {
	left := slices.DeleteFunc(slices.Clone(useActions), func(a string) bool { return a == action })
	return `{"Sid":"Allow use","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},"Action":["` + strings.Join(left, `","`) + `"],"Resource":"*"}`
}

// A launchSource is what the volume of a launch is made from, in an account with a key to be used and
// another one.
type launchSource struct {
	name  string
	image func(t *testing.T, c *client, key, other string) string
	// device is what the template says of it, if anything.
	device func(key string) []device
	// volume is where the volume under the key is.
	volume string
}

var launchSources = []launchSource{
	{"empty volume", func(t *testing.T, c *client, _, _ string) string { return c.plainImage(t) },
		func(key string) []device { return []device{dataDevice(key)} }, "/dev/sdf"},
	{"plain image", func(t *testing.T, c *client, _, _ string) string { return c.plainImage(t) },
		func(key string) []device { return []device{rootDevice(key)} }, "/dev/xvda"},
	{"image under the same key", func(t *testing.T, c *client, key, _ string) string { return c.imageUnder(t, key) },
		func(string) []device { return nil }, "/dev/xvda"},
	{"image under another key", func(t *testing.T, c *client, _, other string) string { return c.imageUnder(t, other) },
		func(key string) []device { return []device{rootDevice(key)} }, "/dev/xvda"},
}

// launchWith makes the source in a fresh account and launches it with the policies of both keys as
// they are given.
func (s launchSource) launchWith(t *testing.T, policy func(account string) []string) (g group, key, other string) {
	t.Helper()
	c := admin(t)
	c.serviceRole(t)
	key, other = c.key(t, ""), c.key(t, "")
	img := s.image(t, c, key, other)
	statements := append([]string{seed.Full(seed.Root(c.account))}, policy(c.account)...)
	c.setPolicy(t, key, statements...)
	c.setPolicy(t, other, statements...)
	return c.groupOf(t, img, 1, s.device(key)...), key, other
}

// Which part of the two statements is needed for which source: the first action that is refused
// without it, and "" if the launch works.
func TestS23_EachPartOfTheTwoStatements(t *testing.T) {
	t.Parallel()
	const createGrant, dataKey, reEncrypt = "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"
	for without, needed := range map[string]map[string]string{
		"kms:Encrypt":     {},
		"kms:Decrypt":     {},
		"kms:DescribeKey": {},
		"kms:ReEncrypt*":  {"image under the same key": reEncrypt, "image under another key": reEncrypt},
		"kms:GenerateDataKey*": {
			"empty volume": dataKey, "plain image": dataKey, "image under another key": dataKey,
		},
		"kms:CreateGrant": {
			"empty volume": createGrant, "plain image": createGrant, "image under the same key": createGrant, "image under another key": createGrant,
		},
	} {
		for _, s := range launchSources {
			t.Run(s.name+" without "+without, func(t *testing.T) {
				g, key, other := s.launchWith(t, func(account string) []string {
					role := seed.Role(account)
					if without == createGrant {
						return []string{seed.Use(role)}
					}
					return []string{useWithout(role, without), seed.Attach(role)}
				})
				action := needed[s.name]
				if action == "" {
					g.launchOK(t, 1, g.client, map[string]string{s.volume: key})
					return
				}
				why := g.why(t, g.launchFail(t, g.client, key))
				refusedOn := key
				if s.name == "image under another key" && action == reEncrypt {
					refusedOn = other
				}
				if s.name == "image under another key" && action == createGrant {
					refusedOn = why.Evaluations[0].Resource // either key's grant may be asked for first
				}
				why.denied(t, seed.Session(g.account), action, refusedOn, "key-policy", seed.Role(g.account))
				e := why.Evaluations[0]
				keyPolicy := e.layer(t, "RESOURCE_BASED_POLICY")
				if keyPolicy.State != "DELEGATES" || e.layer(t, "IDENTITY_BASED_POLICY").State != "NEEDED" {
					t.Errorf("layers: %+v", e.Layers)
				}
				sid := "Allow use"
				if without == createGrant {
					sid = "Allow use of the customer managed key"
				}
				if s := keyPolicy.missed(t, sid); s.Reason != "ACTION" || s.Condition != nil {
					t.Errorf("the statement without %s: %+v", without, s)
				}
				e.wantSets(t, "key-policy")
			})
		}
	}
}

// A condition that fails is told with what it wants and what the request had.
func TestS23_AConditionThatFailsIsNamed(t *testing.T) {
	const via = "ec2.eu-west-1.amazonaws.com" // of another Region
	g, key, _ := launchSources[0].launchWith(t, func(account string) []string {
		use := strings.Replace(seed.Use(seed.Role(account)), `"Resource":"*"`, `"Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"`+via+`"}}`, 1)
		return []string{use, seed.Attach(seed.Role(account))}
	})
	why := g.why(t, g.launchFail(t, g.client, key))
	why.denied(t, seed.Session(g.account), "kms:GenerateDataKeyWithoutPlaintext", key, "key-policy", seed.Role(g.account))
	e := why.Evaluations[0]
	s := e.layer(t, "RESOURCE_BASED_POLICY").missed(t, "Allow use of the customer managed key")
	want := failedCondition{
		Operator: "StringEquals", Key: "kms:ViaService", Expected: []string{via}, Actual: []string{"ec2." + seed.Region + ".amazonaws.com"}, Present: true,
	}
	if s.Reason != "CONDITION" || !s.Nearly || s.Condition == nil || !reflect.DeepEqual(*s.Condition, want) {
		t.Errorf("the statement: %+v, its condition: %+v", s, s.Condition)
	}
	e.wantSets(t, "key-policy")
}

func TestS23_ThePrincipalMustBeTheRoleOrItsSession(t *testing.T) {
	t.Parallel()
	both := func(principal string) []string { return []string{seed.Use(principal), seed.Attach(principal)} }
	for name, p := range map[string]struct {
		policy func(account string) []string
		ok     bool
	}{
		"role":              {func(a string) []string { return both(seed.Role(a)) }, true},
		"session":           {func(a string) []string { return both(seed.Session(a)) }, true},
		"session by prefix": {func(a string) []string { return both(strings.TrimSuffix(seed.Session(a), "AutoScaling") + "Other") }, false},
		"service": {func(string) []string {
			var out []string
			for _, s := range both("autoscaling.amazonaws.com") {
				out = append(out, strings.Replace(s, `"AWS"`, `"Service"`, 1))
			}
			return out
		}, false},
		"account": {func(a string) []string { return both(seed.Root(a)) }, false}, // delegates to identity policies, which the role has not got
		"everybody of the account": {func(a string) []string {
			var out []string
			for _, s := range both("*") {
				out = append(out, strings.Replace(strings.Replace(s, `"Condition":{`, `"Condition":{"StringEquals":{"kms:CallerAccount":"`+a+`"},`, 1),
					`"Resource":"*"}`, `"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"`+a+`"}}}`, 1))
			}
			return out
		}, true},
	} {
		for _, s := range launchSources[:2] {
			t.Run(name+", "+s.name, func(t *testing.T) {
				g, key, _ := s.launchWith(t, p.policy)
				if p.ok {
					g.launchOK(t, 1, g.client, map[string]string{s.volume: key})
					return
				}
				action := "kms:GenerateDataKeyWithoutPlaintext"
				if s.name == "plain image" {
					action = "kms:CreateGrant"
				}
				g.why(t, g.launchFail(t, g.client, key)).denied(t, seed.Session(g.account), action, key, "key-policy", seed.Role(g.account))
			})
		}
	}
}

func TestS23_ARoleWithoutItsPathOrOfAnAccountWithoutItIsNoPrincipal(t *testing.T) {
	c := admin(t)
	c.serviceRole(t)
	key := c.key(t, "")
	for name, role := range map[string]string{
		"without its path": "arn:aws:iam::" + c.account + ":role/" + roleName,
		"wrong path":       "arn:aws:iam::" + c.account + ":role/aws-service-role/ec2.amazonaws.com/" + roleName,
		"wrong account":    seed.Role(seed.NewAccount()),
		"wrong name":       seed.Role(c.account) + "s",
	} {
		out, err := c.kms.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{
			KeyId: &key, Policy: new(seed.Policy(seed.Full(seed.Root(c.account)), seed.Use(role), seed.Attach(role))),
		})
		if err == nil {
			t.Errorf("a policy with the role %s was accepted", name)
			continue
		}
		refused(out, err)(t, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
	}
}
