package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/speech"
)

// candidates are changes that may help against the first failure, best first: what corrects a
// mistake before what adds a permission.
func (o *outcome) candidates() []change {
	f := o.failures()[0]
	switch {
	case f.setup > 0 && f.answer == nil:
		return o.setupCandidates(f)
	case f.answer != nil && f.answer.err == nil:
		return slices.Concat(o.corrections(f), o.permissions(f), o.otherRole(f), o.otherKey(f))
	case f.answer != nil:
		return o.stateCandidates(f)
	case f.step == "resolve-key":
		return slices.Concat(o.aliases(f), o.otherKey(f))
	}
	return o.templateCandidates(f)
}

// courseOf is the device of a failure.
func (o *outcome) courseOf(f *failing) *course {
	for i := range o.courses {
		if o.courses[i].fail == f {
			return &o.courses[i]
		}
	}
	return nil
}

// mapping is the place of a device's mapping in its template; made are the edits that make one.
func (o *outcome) mapping(c *course) (path string, made []format.Edit, ok bool) {
	for i, t := range o.world.sc.Launch.Templates {
		if t.Name != c.template {
			continue
		}
		base := fmt.Sprintf("/launch/templates/%d/blockDevices", i)
		for j, b := range t.BlockDevices {
			if b.Device == c.device {
				return fmt.Sprintf("%s/%d/ebs", base, j), nil, true
			}
		}
		return fmt.Sprintf("%s/%d/ebs", base, len(t.BlockDevices)),
			[]format.Edit{edit("add", base+"/-", map[string]any{"device": c.device, "ebs": map[string]any{}})}, true
	}
	return "", nil, false
}

// templateCandidates help against what EC2 or Auto Scaling refuses before any key is looked for.
func (o *outcome) templateCandidates(f *failing) []change {
	w, c := o.world, o.courseOf(f)
	if c == nil {
		return nil
	}
	switch f.rule {
	case "parameter-dependency":
		path, _, ok := o.mapping(c)
		if !ok {
			return nil
		}
		return []change{{kind: "change-template", family: "template", summary: speech.Say("Set Encrypted to true beside KmsKeyId on %s.", c.device),
			edits: []format.Edit{edit("add", path+"/encrypted", true)}}}
	case "image-not-shared":
		for i := range w.sc.Images {
			m := &w.sc.Images[i]
			if t := w.template(c.template); t != nil && w.image(t) == m {
				return []change{{kind: "share-image", family: "image", summary: speech.Say("Share image %s with account %s.", m.ID, w.sc.Launch.Account),
					edits: []format.Edit{edit("add", fmt.Sprintf("/images/%d/sharedWith/-", i), w.sc.Launch.Account)},
					commands: []string{fmt.Sprintf("aws ec2 modify-image-attribute --region %s --image-id %s --launch-permission 'Add=[{UserId=%s}]'",
						w.sc.Region, m.ID, w.sc.Launch.Account)},
					run: []speech.Text{speech.Say("The owner of the image, account %s.", m.Owner)}}}
			}
		}
	case "no-service-linked-role":
		role := w.groupRole()
		return []change{createPrincipal(role), {kind: "change-group", family: "group", summary: speech.Say("Let the group use the default service-linked role."),
			edits: []format.Edit{edit("replace", "/launch/group/serviceLinkedRoleArn", nil)}}}
	}
	return nil
}

func (w *world) template(name string) *format.Template {
	for i := range w.sc.Launch.Templates {
		if w.sc.Launch.Templates[i].Name == name {
			return &w.sc.Launch.Templates[i]
		}
	}
	return nil
}

// createPrincipal makes a principal that does not exist.
func createPrincipal(name string) change {
	a, _ := arn.Parse(name)
	short := a.ID()[strings.LastIndexByte(a.ID(), '/')+1:]
	c := change{kind: "create-principal", family: "principal", summary: speech.Say("Create %s first.", name)}
	kind := format.KindRole
	switch {
	case linked(name):
		kind = format.KindLinked
		c.kind, c.summary = "create-service-linked-role", speech.Say("Create the service-linked role %s first.", name)
		service := strings.Split(a.Resource, "/")[2]
		command := "aws iam create-service-linked-role --aws-service-name " + service
		if _, suffix, ok := strings.Cut(short, "_"); ok {
			command += " --custom-suffix " + suffix
		}
		c.commands = []string{command}
	case a.Type() == "user":
		kind = format.KindUser
	}
	c.run = []speech.Text{speech.Say("Somebody with the right to create it in account %s.", a.Account)}
	c.edits = []format.Edit{edit("add", "/principals/-", map[string]any{"arn": name, "kind": kind, "policies": []any{}})}
	return c
}

// stateCandidates help where a request is allowed and the key cannot be used.
func (o *outcome) stateCandidates(f *failing) []change {
	k := f.answer.key
	var out []change
	if k != nil && k.at >= 0 && f.rule != "key-not-symmetric" {
		c := change{kind: "change-key-state", family: "state", run: []speech.Text{speech.Say("Somebody with the right to do so in account %s, in Region %s.", k.Account, k.Region)},
			edits: []format.Edit{edit("replace", fmt.Sprintf("/keys/%d/state", k.at), "Enabled")}}
		at := " --region " + k.Region + " --key-id " + k.ARN()
		switch f.rule {
		case "key-disabled":
			c.summary, c.commands = speech.Say("Enable key %s.", k.ARN()), []string{"aws kms enable-key" + at}
		case "key-pending-deletion":
			c.summary = speech.Say("Cancel the deletion of key %s and enable it.", k.ARN())
			c.commands = []string{"aws kms cancel-key-deletion" + at, "aws kms enable-key" + at}
		default:
			c.summary = speech.Say("Import key material into key %s.", k.ARN())
		}
		out = append(out, c)
	}
	return append(out, o.otherKey(f)...)
}

// aliases help where the name of a key does not resolve: a key gets it.
func (o *outcome) aliases(f *failing) []change {
	w := o.world
	a, err := arn.Parse(f.key)
	name := f.key
	if err == nil {
		name = a.Resource
	}
	if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") || err == nil && (a.Region != w.sc.Region || a.Account != w.sc.Launch.Account) {
		return nil
	}
	var out []change
	for _, i := range o.usableKeys("") {
		k := &w.sc.Keys[i]
		out = append(out, change{kind: "create-alias", family: "alias", summary: speech.Say("Create %s in %s for key %s.", name, k.Region, k.ARN),
			edits: []format.Edit{edit("add", fmt.Sprintf("/keys/%d/aliases/-", i), name)},
			commands: []string{fmt.Sprintf("aws kms create-alias --region %s --alias-name %s --target-key-id %s", k.Region, name,
				k.ARN[strings.LastIndexByte(k.ARN, '/')+1:])},
			run: []speech.Text{speech.Say("Somebody with kms:CreateAlias on the alias and the key in account %s, in Region %s.", k.Account, k.Region)}})
	}
	return out
}

// usableKeys are the places of the customer's keys of the launch's account and region that can
// encrypt volumes, but for one; if there are none, of those that could in another state.
func (o *outcome) usableKeys(but string) []int {
	var usable, others []int
	for i, k := range o.world.sc.Keys {
		w := o.world.keys[k.ARN]
		switch {
		case k.Account != o.world.sc.Launch.Account || k.Region != o.world.sc.Region || k.Manager == format.ManagerAWS || k.ARN == but || w.unknownState != "":
		case w.CheckEncrypts("GenerateDataKey") == nil:
			usable = append(usable, i)
		case w.CheckUse("GenerateDataKey", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT") == nil:
			others = append(others, i)
		}
	}
	if len(usable) == 0 {
		return others
	}
	return usable
}

// otherKey has a device take another key: one that the account has, or that of AWS.
func (o *outcome) otherKey(f *failing) []change {
	c := o.courseOf(f)
	if c == nil || len(o.world.sc.Launch.ExistingVolumes) > 0 {
		return nil
	}
	var out []change
	spec := o.world.spec()
	chosen := o.chosenBy(c)
	if chosen == launch.ByAccountDefault && spec.Defaults.DefaultKey != launch.AWSManagedAlias && f.principal != "" {
		if a, ok := o.world.accounts[spec.Account]; ok {
			out = append(out, change{kind: "change-account-default", family: "default",
				summary:  speech.Say("Let account %s use %s by default in %s, which holds for new volumes only.", spec.Account, launch.AWSManagedAlias, spec.Region),
				edits:    []format.Edit{edit("replace", fmt.Sprintf("/accounts/%d/ebs/%s/defaultKmsKeyId", a.at, escape(spec.Region)), launch.AWSManagedAlias)},
				commands: []string{"aws ec2 reset-ebs-default-kms-key-id --region " + spec.Region},
				opens:    []speech.Text{speech.Say("New volumes of the account are under another key from then on.")},
				run:      []speech.Text{speech.Say("Somebody with ec2:ResetEbsDefaultKmsKeyId in account %s.", spec.Account)}})
		}
	}
	if c.template == "" || chosen == launch.BySnapshot {
		return out
	}
	path, made, ok := o.mapping(c)
	if t := o.world.template(c.template); !ok || t.Kind == format.KindLaunchConfiguration {
		return out // a launch configuration cannot name a key
	}
	if !o.asksForEncryption(c) {
		made = append(made, edit("add", path+"/encrypted", true))
	}
	for _, i := range o.usableKeys(f.key) {
		name := o.world.sc.Keys[i].ARN
		out = append(out, change{kind: "change-template", family: "template", summary: speech.Say("Name key %s for %s.", name, c.device),
			edits: slices.Concat(made, []format.Edit{edit("add", path+"/kmsKeyId", name)})})
	}
	return out
}

// asksForEncryption reports whether the mapping of a device sets Encrypted.
func (o *outcome) asksForEncryption(c *course) bool {
	t := o.world.template(c.template)
	return t != nil && slices.ContainsFunc(t.BlockDevices, func(b format.BlockDevice) bool {
		return b.Device == c.device && b.EBS.Encrypted != nil && *b.EBS.Encrypted
	})
}

func (o *outcome) chosenBy(c *course) launch.ChosenBy {
	if c.volume != nil {
		return c.volume.ChosenBy
	}
	if t := o.world.template(c.template); t != nil {
		for _, b := range t.BlockDevices {
			if b.Device == c.device && b.EBS.KmsKeyID != "" {
				return launch.ByTemplate
			}
		}
	}
	return launch.ByAccountDefault
}

// otherRole has another role launch, that the policy knows.
func (o *outcome) otherRole(f *failing) []change {
	l := &o.world.sc.Launch
	if l.Group == nil || f.setup > 0 {
		return nil
	}
	var out []change
	if c := o.courseOf(f); c != nil && strings.Contains(f.principal, "/spot.amazonaws.com/") {
		for i, t := range l.Templates {
			if t.Name == c.template {
				out = append(out, change{kind: "change-template", family: "template", summary: speech.Say("Use a launch template for Spot: then the role of the group launches."),
					edits: []format.Edit{edit("replace", fmt.Sprintf("/launch/templates/%d/kind", i), format.KindLaunchTemplate)}})
			}
		}
	}
	path := arn.ServiceLinkedPath("autoscaling.amazonaws.com")
	for _, p := range o.world.sc.Principals {
		if p.Kind == format.KindLinked && p.ARN != f.principal && strings.HasPrefix(p.ARN, "arn:"+arn.Partition+":iam::"+l.Account+":role"+path) {
			out = append(out, change{kind: "change-group", family: "group", summary: speech.Say("Let the group use the role %s.", p.ARN),
				edits: []format.Edit{edit("replace", "/launch/group/serviceLinkedRoleArn", p.ARN)}})
		}
	}
	return out
}

// setupCandidates help against what KMS refuses of a direct call that its caller may make.
func (o *outcome) setupCandidates(f *failing) []change {
	w := o.world
	st := &w.sc.Setup[f.setup-1]
	base := fmt.Sprintf("/setup/%d/params", f.setup-1)
	switch f.rule {
	case "invalid-principal", "grantee-not-found":
		return o.principalCandidates(st, base)
	case "lockout-safety-check":
		k := w.keys[st.Params.Key]
		account := change{kind: "edit-key-policy", family: "account", summary: speech.Say("Keep the statement for the account, so that its administrators can change the policy again."),
			edits: addStatement(base+"/policy", st.Params.Policy, map[string]any{"Sid": "Enable IAM User Permissions", "Effect": "Allow",
				"Principal": map[string]any{"AWS": arn.Root(k.Account)}, "Action": "kms:*", "Resource": "*"}),
			opens: []speech.Text{speech.Say("The account's identity policies decide who may use and administer the key.")}}
		who := change{kind: "edit-key-policy", family: "author", summary: speech.Say("Let %s change the policy again.", st.As),
			edits: addStatement(base+"/policy", st.Params.Policy, map[string]any{"Sid": "Allow the author to change the policy", "Effect": "Allow",
				"Principal": map[string]any{"AWS": st.As}, "Action": "kms:PutKeyPolicy", "Resource": "*"})}
		return []change{account, who}
	case "key-disabled", "key-pending-deletion", "key-pending-import":
		f.answer = &answer{key: w.keys[st.Params.Key], err: f.err}
		return o.stateCandidates(f)
	}
	return nil
}

// principalCandidates help where a principal is named that does not exist: one of its name is
// meant, or it has to be made first.
func (o *outcome) principalCandidates(st *format.Step, base string) []change {
	var fresh, corrected change
	for _, name := range o.world.missing(st) {
		c := createPrincipal(name)
		fresh.kind, fresh.family = c.kind, c.family
		fresh.summary = speech.Sentences(fresh.summary, c.summary)
		fresh.edits, fresh.commands = append(fresh.edits, c.edits...), append(fresh.commands, c.commands...)
		fresh.run = append(fresh.run, c.run...)
		for _, p := range o.world.sc.Principals {
			if p.ARN[strings.LastIndexByte(p.ARN, '/'):] != name[strings.LastIndexByte(name, '/'):] {
				continue
			}
			if st.Call == format.CallCreateGrant {
				corrected.edits = append(corrected.edits, edit("replace", base+"/granteePrincipal", p.ARN))
			} else {
				corrected.edits = append(corrected.edits, replaceStrings(base+"/policy", st.Params.Policy, name, p.ARN)...)
			}
			corrected.kind, corrected.family = "edit-key-policy", "correct"
			corrected.summary = speech.Sentences(corrected.summary, speech.Say("Write %s in the place of %s.", p.ARN, name))
			break
		}
	}
	var out []change
	if len(corrected.edits) > 0 {
		out = append(out, corrected)
	}
	if len(fresh.edits) > 0 {
		out = append(out, fresh)
	}
	return out
}
