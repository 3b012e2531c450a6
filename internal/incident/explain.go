package incident

import (
	"cmp"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz/explain"
	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/keyrule"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Finding is an incident with what there is to say of it.
type Finding struct {
	ID string `json:"id"`
	// Verdict is always "fails": the call did.
	Verdict  string   `json:"verdict"`
	Incident Incident `json:"incident"`
	Actions  []string `json:"actions"`
	// Code names the reason that the record gives, as rules of scenarios are named, or is its error code.
	Code string `json:"code"`
	// Reason is what the record says, in plain words.
	Reason speech.Text `json:"reason"`
	// Scenario is the one whose documents Now is about; "" if none has the key.
	Scenario string `json:"scenario,omitempty"`
	// Now is what would become of the call on those documents: allowed, refused or unknown.
	Now         string        `json:"now,omitempty"`
	Rule        string        `json:"rule,omitempty"`
	Where       string        `json:"where,omitempty"`
	Explanation []speech.Text `json:"explanation,omitempty"`
	Depends     []string      `json:"depends,omitempty"`
	// Fixes are what would help, best first. Without a scenario they assume of the documents what the
	// record says.
	Fixes []Remedy      `json:"fixes"`
	Notes []speech.Text `json:"notes,omitempty"`
}

// A Remedy is one change, or several of the same Set that are made together.
type Remedy struct {
	Kind     string        `json:"kind"`
	Summary  speech.Text   `json:"summary"`
	Document string        `json:"document,omitempty"` // statement to add
	Command  string        `json:"command,omitempty"`
	Name     string        `json:"name,omitempty"` // least, documented or ""
	Set      int           `json:"set"`
	Run      speech.Text   `json:"run,omitzero"`
	Opens    []speech.Text `json:"opens,omitempty"`
}

// An Explainer explains incidents, on scenarios if one has the key.
type Explainer struct {
	Doctor    *doctor.Doctor
	Scenarios []*format.Scenario
}

// Explain explains an incident; id is what the finding is called.
func (x *Explainer) Explain(id string, n *Incident) *Finding {
	f := &Finding{ID: id, Verdict: "fails", Incident: *n, Actions: n.actions, Fixes: []Remedy{}, Code: n.Code}
	if n.denied {
		f.Code = reasonOf(n.Message).code()
	}
	switch {
	case !n.denied:
		x.state(f, n)
	case n.Key == "":
		f.Reason = reasonOf(n.Message).text()
		f.Notes = append(f.Notes, speech.Say("The record does not tell which key it was about: look for records of the same time in the account that owns the key."))
	default:
		f.Reason = reasonOf(n.Message).text()
		x.denied(f, n)
	}
	return f
}

// denied explains a refusal for want of permission.
func (x *Explainer) denied(f *Finding, n *Incident) {
	call := n.call()
	for _, sc := range x.Scenarios {
		if sc.Key(n.Key) == nil {
			continue
		}
		r := x.Doctor.Replay(sc, call)
		if f.Scenario != "" && r.Result == "unknown" {
			continue
		}
		f.Scenario, f.Now, f.Rule, f.Where, f.Explanation, f.Depends = sc.ID, r.Result, r.Rule, r.Where, r.Explanation, r.Depends
		f.Fixes, f.Notes = remedies(r.Fixes), r.Notes
		if r.Result == "allowed" {
			f.Fixes = []Remedy{}
			f.Notes = append(f.Notes, speech.Say("It would be allowed now: something was changed since, or the call differs in what a record does not tell (addresses, tags, session policies)."))
		}
		if r.Result != "unknown" {
			return
		}
	}
	if f.Scenario != "" && len(f.Fixes) > 0 {
		return
	}
	world, note := supposed(n)
	if world == nil {
		f.Notes = append(f.Notes, note)
		return
	}
	r := x.Doctor.Replay(world, call)
	f.Fixes = remedies(r.Fixes)
	f.Notes = append(f.Notes, r.Notes...)
	if !note.Empty() {
		f.Notes = append(f.Notes, note)
	}
}

// state explains a failure of a call that was permitted, or that no permission helps.
func (x *Explainer) state(f *Finding, n *Incident) {
	key := n.Key
	if key == "" {
		key = n.given
	}
	remedy := func(kind string, summary speech.Text, command string) {
		f.Fixes = append(f.Fixes, Remedy{Kind: kind, Summary: summary, Command: command, Set: len(f.Fixes) + 1})
	}
	aws := func(command string) string {
		return "aws kms " + command + " --key-id " + key + " --region " + n.Region
	}
	message := strings.ToLower(n.Message)
	switch strings.TrimSuffix(n.Code, "Exception") {
	case "Disabled":
		f.Reason = speech.Say("The key is disabled.")
		remedy("enable-key", speech.Say("Enable the key."), aws("enable-key"))
	case "KMSInvalidState":
		f.Reason = speech.Say("The state of the key does not allow it.")
		switch {
		case strings.Contains(message, "pending deletion"):
			f.Reason = speech.Say("The key is pending deletion.")
			remedy("cancel-key-deletion", speech.Say("Cancel the deletion of the key, then enable it."), aws("cancel-key-deletion")+" && "+aws("enable-key"))
		case strings.Contains(message, "pending import"):
			f.Reason = speech.Say("The key has no material.")
			remedy("import-key-material", speech.Say("Import the key's material again."), "")
		case strings.Contains(message, "unavailable"):
			f.Reason = speech.Say("The key's store is not connected.")
		}
	case "NotFound":
		f.Reason = speech.Say("There is no such key or alias in %s.", n.Region)
		f.Notes = append(f.Notes, speech.Say("An alias and a key belong to one Region and account: compare the identifier with both."))
	case "InvalidKeyUsage", "UnsupportedOperation":
		f.Reason = speech.Say("A key of this kind cannot do it: volumes need a symmetric key for encryption.")
	case "IncorrectKey":
		f.Reason = speech.Say("The ciphertext was made under another key.")
	case "InvalidCiphertext":
		f.Reason = speech.Say("The ciphertext, or the encryption context with it, is not the one that was made.")
	case "InvalidArn":
		f.Reason = speech.Say("An ARN names nobody, or nothing: a role that does not exist (yet), say.")
	case "MalformedPolicyDocument":
		f.Reason = speech.Say("The key policy is refused: it is no policy, names a principal that does not exist, or locks everybody out.")
	case "KeyUnavailable", "DependencyTimeout", "KMSInternal", "InternalFailure":
		f.Reason = speech.Say("KMS could not do it at that moment; AWS services try again.")
	default:
		f.Reason = speech.Say("KMS answers %s.", n.Code)
	}
	for _, sc := range x.Scenarios {
		if k := sc.Key(n.Key); k != nil {
			f.Scenario, f.Explanation = sc.ID, append(f.Explanation, speech.Say("The state of the key is now %s.", k.State))
			return
		}
	}
}

// call is the incident as something to decide.
func (n *Incident) call() doctor.RecordedCall {
	c := doctor.RecordedCall{Principal: n.Principal, Via: n.Via}
	for _, action := range n.actions {
		part := doctor.RecordedPart{Action: action, Key: n.Key, Context: n.Context}
		if len(n.actions) > 1 { // a ReEncrypt of which nobody says what was missing
			part.Key = cmp.Or(n.last.keyOf(action), n.Key)
		}
		if p := n.last.RequestParameters; action == "kms:ReEncryptFrom" && p != nil {
			part.Context = p.SourceEncryptionContext
		}
		c.Parts = append(c.Parts, part)
	}
	if n.Operation != "CreateGrant" {
		return c
	}
	a, _ := arn.Parse(n.Principal)
	c.Grant = &keyrule.Grant{Issuer: a.Account}
	if p := n.last.RequestParameters; p != nil {
		c.Grant.Grantee, c.Grant.Operations, c.Grant.Retiring = p.GranteePrincipal, p.Operations, p.RetiringPrincipal
		if p.GranteeServicePrincipal != "" {
			c.Grant.Grantee, c.Grant.GranteeService = p.GranteeServicePrincipal, true
		}
		if cs := p.Constraints; cs != nil {
			c.Grant.Subset, c.Grant.Equals, c.Grant.SourceARN = cs.EncryptionContextSubset, cs.EncryptionContextEquals, cs.SourceARN
		}
	}
	if c.Grant.Grantee == "" && n.Via != "" { // a refused call leaves its parameters out: it is EC2's
		c.Grant.Grantee, c.Grant.Operations = arn.InfrastructureRole(a.Account), []string{"Decrypt"}
		c.Grant.Subset = map[string]string{volumeContext: "vol-0123456789abcdef0"}
	}
	return c
}

func remedies(fixes []explain.Fix) []Remedy {
	out := []Remedy{}
	for _, f := range fixes {
		out = append(out, Remedy{f.Kind, f.Summary, f.Document, f.Command, f.Name, f.Set, f.Run, f.Opens})
	}
	return out
}
