package scenario_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario"
	"github.com/kagimori/kagimori/internal/testkit"
)

// The worlds of TestServerAndDoctorAgreeOnRandomWorlds: how many, if KAGIMORI_WORLDS does not say it,
// and from which seed, if KAGIMORI_SEED does not.
const (
	worlds     = 80
	worldsSeed = 5
)

// TestServerAndDoctorAgreeOnRandomWorlds varies the shared scenarios at random, one to three changes
// each, and performs them: the doctor foretells of each the verdict, and of a failure the step, the
// principal, the action, the key and the rule. KAGIMORI_WORLDS=5000 makes it long.
func TestServerAndDoctorAgreeOnRandomWorlds(t *testing.T) {
	n, seed := number(t, "KAGIMORI_WORLDS", worlds), number(t, "KAGIMORI_SEED", worldsSeed)
	all := files(t)
	ids := slices.Sorted(maps.Keys(all))
	s := testkit.Start(t, testkit.Options{})
	outcomes := map[string]int{}
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		m := mutator{Rand: r}
		m.sc = m.parse(t, all[ids[r.IntN(len(ids))]])
		for range 1 + r.IntN(3) {
			m.change()
		}
		sc, err := m.scenario()
		if err != nil {
			outcomes["no scenario"]++
			continue
		}
		t.Run(fmt.Sprintf("%d %s %s", i, sc.ID, strings.Join(m.did, ", ")), func(t *testing.T) {
			if err := s.App.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			found := disagreements(t, s, sc)
			if len(found) == 1 && cannotBeLoaded(found[0]) {
				outcomes["cannot be loaded"]++
				t.Log(found[0])
				return
			}
			outcomes["performed"]++
			for _, d := range found {
				t.Error(d)
			}
			if dir := os.Getenv("KAGIMORI_KEEP"); len(found) > 0 && dir != "" {
				data, _ := sc.Encode()
				_ = os.WriteFile(fmt.Sprintf("%s/%d.json", dir, i), data, 0o600)
			}
		})
	}
	t.Logf("%v", outcomes)
	if outcomes["performed"] < n*2/3 {
		t.Errorf("of %d worlds: %v", n, outcomes)
	}
}

// cannotBeLoaded reports whether a world cannot be built on a server, because its own policies keep
// the administrator who builds it from doing so, or KMS does not take them.
func cannotBeLoaded(text string) bool {
	return strings.HasPrefix(text, unperformed)
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// A mutator changes a scenario.
type mutator struct {
	*rand.Rand
	sc  *scenario.Scenario
	did []string
}

func (m *mutator) parse(t *testing.T, data []byte) *scenario.Scenario {
	t.Helper()
	sc, err := scenario.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	sc.Expected = nil
	if g := sc.Launch.Group; g != nil {
		g.Desired = 1
	}
	return sc
}

// scenario is what came of it, if that is one.
func (m *mutator) scenario() (*scenario.Scenario, error) {
	data, err := m.sc.Encode()
	if err != nil {
		return nil, err
	}
	return scenario.Parse(data)
}

// change makes one change that can be made here.
func (m *mutator) change() {
	all := []struct {
		name string
		make func() bool
	}{
		{"statement goes", m.dropStatement}, {"action goes", m.dropAction}, {"condition comes", m.addCondition}, {"condition goes", m.dropCondition},
		{"principal changes", m.changePrincipal}, {"deny comes", m.addDeny}, {"grant loses an operation", m.cutGrant}, {"grant gets a constraint", m.constrainGrant},
		{"grant goes", m.dropGrant}, {"key is named otherwise", m.renameKey}, {"key in another state", m.changeState}, {"group has another role", m.changeRole},
		{"organization policy comes", m.addSCP}, {"resource control policy comes", m.addRCP}, {"identity policy goes", m.dropPolicy}, {"boundary comes", m.addBoundary},
		{"defaults change", m.changeDefaults}, {"device changes", m.changeDevice}, {"template changes", m.changeTemplate}, {"setup goes", m.dropSetup},
		{"grant comes", m.addGrant}, {"statement comes", m.addStatement},
	}
	for range 10 {
		c := all[m.IntN(len(all))]
		if c.make() {
			m.did = append(m.did, c.name)
			return
		}
	}
}

// pick is one of a list; ok is false if it is empty.
func pick[T any](m *mutator, list []T) (_ *T, ok bool) {
	if len(list) == 0 {
		return nil, false
	}
	return &list[m.IntN(len(list))], true
}

// customerKey is a key that is not AWS's.
func (m *mutator) customerKey() (*scenario.Key, bool) {
	var own []int
	for i, k := range m.sc.Keys {
		if k.Manager == "CUSTOMER" {
			own = append(own, i)
		}
	}
	i, ok := pick(m, own)
	if !ok {
		return nil, false
	}
	return &m.sc.Keys[*i], true
}

// editPolicy changes the statements of a key's policy. They may not all go.
func (m *mutator) editPolicy(edit func(statements []map[string]any) ([]map[string]any, bool)) bool {
	k, ok := m.customerKey()
	if !ok {
		return false
	}
	var doc map[string]json.RawMessage
	var statements []map[string]any
	if json.Unmarshal(k.Policy, &doc) != nil || json.Unmarshal(doc["Statement"], &statements) != nil {
		return false
	}
	statements, ok = edit(statements)
	if !ok || len(statements) == 0 {
		return false
	}
	doc["Statement"], _ = json.Marshal(statements)
	k.Policy, _ = json.Marshal(doc)
	return true
}

// editStatement changes one statement of a key's policy.
func (m *mutator) editStatement(edit func(map[string]any) bool) bool {
	return m.editPolicy(func(all []map[string]any) ([]map[string]any, bool) {
		st := all[m.IntN(len(all))]
		return all, edit(st)
	})
}

func (m *mutator) dropStatement() bool {
	return m.editPolicy(func(all []map[string]any) ([]map[string]any, bool) {
		i := m.IntN(len(all))
		return slices.Delete(all, i, i+1), len(all) > 1
	})
}

func (m *mutator) dropAction() bool {
	return m.editStatement(func(st map[string]any) bool {
		list, ok := st["Action"].([]any)
		if !ok || len(list) < 2 {
			return false
		}
		i := m.IntN(len(list))
		st["Action"] = slices.Delete(list, i, i+1)
		return true
	})
}

func (m *mutator) condition() map[string]any {
	account := m.sc.Launch.Account
	all := []map[string]any{
		{"StringEquals": map[string]any{"kms:ViaService": "ec2." + m.sc.Region + ".amazonaws.com"}},
		{"StringEquals": map[string]any{"kms:ViaService": "ec2.eu-central-1.amazonaws.com"}},
		{"StringEquals": map[string]any{"kms:CallerAccount": account}},
		{"StringNotEquals": map[string]any{"kms:CallerAccount": account}},
		{"Bool": map[string]any{"kms:GrantIsForAWSResource": "true"}},
		{"Bool": map[string]any{"kms:GrantIsForAWSResource": "false"}},
		{"BoolIfExists": map[string]any{"kms:GrantIsForAWSResource": "true"}},
		{"Bool": map[string]any{"aws:ViaAWSService": "true"}},
		{"Bool": map[string]any{"aws:ViaAWSService": "false"}},
		{"Null": map[string]any{"kms:EncryptionContext:aws:ebs:id": "false"}},
		{"ForAllValues:StringEquals": map[string]any{"kms:EncryptionContextKeys": "aws:ebs:id"}},
		{"StringLike": map[string]any{"aws:PrincipalArn": "arn:aws:iam::*:role/aws-service-role/*"}},
		{"ArnLike": map[string]any{"aws:PrincipalArn": "arn:aws:iam::" + account + ":role/*"}},
		{"StringEquals": map[string]any{"aws:PrincipalAccount": account}},
		{"ForAllValues:StringEquals": map[string]any{"kms:GrantOperations": []any{"Decrypt"}}},
		{"StringEquals": map[string]any{"kms:GrantConstraintType": "EncryptionContextSubset"}},
		{"StringEquals": map[string]any{"aws:RequestedRegion": m.sc.Region}},
		{"BoolIfExists": map[string]any{"aws:PrincipalIsAWSService": "false"}},
		{"ArnNotLikeIfExists": map[string]any{"aws:PrincipalArn": arn.InfrastructureRole("*")}, "BoolIfExists": map[string]any{"aws:ViaAWSService": "false"}},
		{"ArnEquals": map[string]any{"aws:PrincipalArn": arn.InfrastructureRole(account)}},
		{"Null": map[string]any{"aws:PrincipalArn": "true"}},
		{"Null": map[string]any{"kms:ViaService": "true"}},
		{"StringEquals": map[string]any{"aws:userid": "*:AutoScaling"}},
		{"StringLike": map[string]any{"aws:userid": "*:AutoScaling"}},
		{"StringEquals": map[string]any{"kms:GranteePrincipal": arn.InfrastructureRole(account)}},
	}
	return all[m.IntN(len(all))]
}

func (m *mutator) addCondition() bool {
	return m.editStatement(func(st map[string]any) bool {
		if st["Condition"] != nil {
			return false
		}
		st["Condition"] = m.condition()
		return true
	})
}

func (m *mutator) dropCondition() bool {
	return m.editStatement(func(st map[string]any) bool {
		had := st["Condition"] != nil
		delete(st, "Condition")
		return had
	})
}

// somebody is a principal of the world, or the account, in some form.
func (m *mutator) somebody() string {
	account := m.sc.Accounts[m.IntN(len(m.sc.Accounts))].ID
	all := []string{account, arn.Root(account)}
	for _, p := range m.sc.Principals {
		all = append(all, p.ARN)
		if a, err := arn.Parse(p.ARN); err == nil && p.Kind != "user" {
			all = append(all, arn.Session(a.Account, a.ID()[strings.LastIndexByte(a.ID(), '/')+1:], "AutoScaling"))
		}
	}
	return all[m.IntN(len(all))]
}

func (m *mutator) changePrincipal() bool {
	return m.editStatement(func(st map[string]any) bool {
		if m.IntN(8) == 0 {
			st["Principal"] = "*"
			return true
		}
		st["Principal"] = map[string]any{"AWS": []any{m.somebody()}}
		return true
	})
}

func keyActions() []string {
	return []string{"kms:*", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*", "kms:ReEncryptFrom", "kms:DescribeKey", "kms:RetireGrant"}
}

// statement is a new one for somebody or everybody.
func (m *mutator) statement(effect string, principal bool) map[string]any {
	actions := keyActions()
	st := map[string]any{"Sid": fmt.Sprint("New", m.IntN(1000)), "Effect": effect, "Action": actions[m.IntN(len(actions))], "Resource": "*"}
	if principal {
		st["Principal"] = map[string]any{"AWS": m.somebody()}
		if effect == "Deny" && m.IntN(2) == 0 {
			st["Principal"] = "*"
		}
	}
	if m.IntN(3) > 0 {
		st["Condition"] = m.condition()
	}
	return st
}

func (m *mutator) addDeny() bool {
	return m.editPolicy(func(all []map[string]any) ([]map[string]any, bool) {
		return append(all, m.statement("Deny", true)), true
	})
}

func (m *mutator) addStatement() bool {
	return m.editPolicy(func(all []map[string]any) ([]map[string]any, bool) {
		return append(all, m.statement("Allow", true)), true
	})
}
