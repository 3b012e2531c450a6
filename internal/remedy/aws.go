package remedy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
)

var safe = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shell quotes a word for a POSIX shell.
func shell(word string) string {
	if safe.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// command is a command of the aws CLI, each word quoted.
func command(words ...string) string {
	for i := range words {
		words[i] = shell(words[i])
	}
	return "aws " + strings.Join(words, " ") + "\n"
}

// file writes a document into a file, and gives the argument that names it.
func file(name string, doc []byte) (text, argument string) {
	return "cat > " + shell(name) + " <<'END_OF_POLICY'\n" + strings.TrimSuffix(string(doc), "\n") + "\nEND_OF_POLICY\n", "file://" + name
}

// short is the last part of an ARN.
func short(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] }

// aws is the step as commands; "" if there are none.
func (s *Step) aws() string {
	kms := func(op string, more ...string) string {
		return command(append([]string{"kms", op, "--region", s.Region, "--key-id", s.Target}, more...)...)
	}
	switch s.Kind {
	case KeyPolicy:
		text, policy := file("key-policy-"+short(s.Target)+".json", s.After)
		if s.Name == "CreateKey" {
			return text + command("kms", "create-key", "--region", s.Region, "--policy", policy)
		}
		return text + kms("put-key-policy", "--policy-name", "default", "--policy", policy)
	case Grant:
		return s.createGrant()
	case SetupCall:
		if s.Grant != nil {
			return s.createGrant()
		}
	case KeyState:
		switch s.Name {
		case "Disabled":
			return kms("enable-key")
		case "PendingDeletion":
			return kms("cancel-key-deletion") + kms("enable-key")
		}
	case Alias:
		return command("kms", "create-alias", "--region", s.Region, "--alias-name", s.Name, "--target-key-id", short(s.Target))
	case AccountDefault:
		return command("ec2", "reset-ebs-default-kms-key-id", "--region", s.Region)
	case ShareImage:
		return command("ec2", "modify-image-attribute", "--region", s.Region, "--image-id", s.Target, "--launch-permission", "Add=[{UserId="+s.Value+"}]")
	case CreatePrincipal:
		return s.create()
	case IdentityPolicy, ChangePolicy:
		return s.identity()
	case Template:
		return s.template()
	}
	return ""
}

func (s *Step) createGrant() string {
	g := s.Grant
	words := append([]string{"kms", "create-grant", "--region", s.Region, "--key-id", s.Target, "--grantee-principal", g.GranteePrincipal, "--operations"}, g.Operations...)
	if c := g.Constraints; c != nil {
		constraints := map[string]map[string]string{}
		if len(c.EncryptionContextSubset) > 0 {
			constraints["EncryptionContextSubset"] = c.EncryptionContextSubset
		}
		if len(c.EncryptionContextEquals) > 0 {
			constraints["EncryptionContextEquals"] = c.EncryptionContextEquals
		}
		if len(constraints) > 0 {
			words = append(words, "--constraints", string(compact(constraints)))
		}
	}
	return command(words...)
}

// create makes a principal. Who may assume a new role is for its owner to say.
func (s *Step) create() string {
	a, _ := arn.Parse(s.Target)
	switch s.Principal.Kind {
	case format.KindLinked:
		service, suffix := linkedRole(s.Target)
		words := []string{"iam", "create-service-linked-role", "--aws-service-name", service}
		if suffix != "" {
			words = append(words, "--custom-suffix", suffix)
		}
		return command(words...)
	case format.KindUser:
		return command("iam", "create-user", "--user-name", short(s.Target))
	}
	trust := fmt.Sprintf(`{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": %q}, "Action": "sts:AssumeRole"}]
}`, arn.Root(a.Account))
	text, policy := file("trust-policy-"+short(s.Target)+".json", []byte(trust))
	return text + command("iam", "create-role", "--role-name", short(s.Target), "--assume-role-policy-document", policy)
}

// linkedRole is the service and suffix of a service-linked role.
func linkedRole(name string) (service, suffix string) {
	if parts := strings.Split(name, "/"); len(parts) > 3 {
		service = parts[2]
	}
	_, suffix, _ = strings.Cut(short(name), "_")
	return service, suffix
}

// identity writes an inline policy. A boundary is a managed policy whose ARN the scenario does not
// have.
func (s *Step) identity() string {
	if s.Name == "" {
		return ""
	}
	kind := "role"
	if a, _ := arn.Parse(s.Target); a.Type() == "user" {
		kind = "user"
	}
	doc := s.After
	if s.Kind == IdentityPolicy {
		var v any
		if json.Unmarshal(doc, &v) == nil {
			doc = []byte(indented(ordered(v)))
		}
	}
	text, policy := file("policy-"+short(s.Target)+"-"+s.Name+".json", doc)
	return text + command("iam", "put-"+kind+"-policy", "--"+kind+"-name", short(s.Target), "--policy-name", s.Name, "--policy-document", policy)
}

// template makes a new version of a launch template, with all its mappings: a list in the new data
// replaces that of the source version. The group has to use the version.
//
// Source: EC2 API Reference, CreateLaunchTemplateVersion (SourceVersion).
func (s *Step) template() string {
	if len(s.Devices) == 0 || s.Template.Kind != format.KindLaunchTemplate {
		return ""
	}
	var mappings []any
	for _, d := range s.Template.BlockDevices {
		ebs := map[string]any{}
		set := func(name string, value any, there bool) {
			if there {
				ebs[name] = value
			}
		}
		set("Encrypted", d.EBS.Encrypted, d.EBS.Encrypted != nil)
		set("KmsKeyId", d.EBS.KmsKeyID, d.EBS.KmsKeyID != "")
		set("SnapshotId", d.EBS.SnapshotID, d.EBS.SnapshotID != "")
		set("VolumeSize", d.EBS.VolumeSize, d.EBS.VolumeSize != 0)
		set("VolumeType", d.EBS.VolumeType, d.EBS.VolumeType != "")
		mappings = append(mappings, map[string]any{"DeviceName": d.Device, "Ebs": ebs})
	}
	return command("ec2", "create-launch-template-version", "--region", s.Region, "--launch-template-name", s.Target, "--source-version", "$Latest",
		"--launch-template-data", string(compact(map[string]any{"BlockDeviceMappings": mappings})))
}
