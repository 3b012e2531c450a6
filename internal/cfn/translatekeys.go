package cfn

import (
	"encoding/json"
	"strings"

	"github.com/kagimori/kagimori/internal/tfplan"
)

func (t *translation) key() {
	o := t.top()
	typ := "aws_kms_key"
	if origin, _ := t.props.get("Origin").scalar(); origin == "EXTERNAL" {
		typ = "aws_kms_external_key"
	}
	t.add(typ, "Arn", t.keyValues(map[string]any{
		"customer_master_key_spec": o.value("KeySpec", "customer_master_key_spec"),
		"key_usage":                o.value("KeyUsage", "key_usage"),
	}))
}

func (t *translation) replica() {
	t.add("aws_kms_replica_key", "Arn", t.keyValues(map[string]any{"primary_key_arn": t.top().value("PrimaryKeyArn", "primary_key_arn")}))
}

// keyValues adds what all keys have.
func (t *translation) keyValues(values map[string]any) map[string]any {
	o := t.top()
	id, arn := t.s.identity(t.r.name, ""), t.s.identity(t.r.name, "Arn")
	values["key_id"], values["arn"] = id.s, arn.s
	values["policy"] = o.document("KeyPolicy", "policy")
	values["enabled"] = o.truth("Enabled", "enabled")
	if t.r.typ == "AWS::KMS::Key" {
		values["is_enabled"] = values["enabled"]
		o.t.called("is_enabled", "Enabled")
	}
	tags := map[string]any{}
	for _, tag := range t.props.get("Tags").list() {
		name, _ := tag.get("Key").scalar()
		if v, ok := tag.get("Value").scalar(); ok && name != "" {
			tags[name] = v
		}
	}
	values["tags_all"] = tags
	return values
}

func (t *translation) alias() {
	o := t.top()
	t.add("aws_kms_alias", "", map[string]any{"name": o.value("AliasName", "name"), "target_key_id": o.value("TargetKeyId", "target_key_id")})
}

// custom is a call that AwsCustomResource of CDK makes: a grant, a key policy, or settings of EBS.
// Source: AWS CDK API Reference, "AwsCustomResource".
func (t *translation) custom() {
	said, ok := t.props.get("Create").scalar()
	if !ok {
		if why := t.props.get("Create").why(); why != "" {
			t.s.set.note(t.s, t.r.name, "the call of this custom resource is not known: "+why)
		}
		return
	}
	var c struct {
		Service, Action string
		Parameters      struct {
			KeyId, GranteePrincipal string
			KmsKeyId, Policy        string
			Operations              []string
			Constraints             *struct {
				EncryptionContextEquals, EncryptionContextSubset map[string]any
			}
		}
	}
	if json.Unmarshal([]byte(said), &c) != nil {
		return
	}
	p := c.Parameters
	switch strings.ToLower(strings.TrimSuffix(c.Action, "Command")) { // also the names of version 3 of the SDK
	case "putkeypolicy":
		t.add("aws_kms_key_policy", "", map[string]any{"key_id": p.KeyId, "policy": p.Policy})
		return
	case "enableebsencryptionbydefault":
		t.add("aws_ebs_encryption_by_default", "", map[string]any{"enabled": true})
		return
	case "modifyebsdefaultkmskeyid":
		t.add("aws_ebs_default_kms_key", "", map[string]any{"key_arn": p.KmsKeyId})
		return
	case "creategrant":
	default:
		return
	}
	var ops []any
	for _, op := range p.Operations {
		ops = append(ops, op)
	}
	values := map[string]any{"key_id": p.KeyId, "grantee_principal": p.GranteePrincipal, "operations": ops}
	if k := p.Constraints; k != nil {
		values["constraints"] = []any{map[string]any{"encryption_context_equals": k.EncryptionContextEquals, "encryption_context_subset": k.EncryptionContextSubset}}
	}
	t.add("aws_kms_grant", "", values)
}

func (t *translation) organizationPolicy() {
	o := t.top()
	id := tfplan.NewID("p-", t.s.address(t.r.name))
	t.add("aws_organizations_policy", "", map[string]any{
		"id": id, "name": o.value("Name", "name"), "type": o.value("Type", "type"), "content": o.document("Content", "content"),
	})
	for _, target := range t.props.get("TargetIds").list() {
		t.add("aws_organizations_policy_attachment", "", map[string]any{"policy_id": id, "target_id": plain(target)})
	}
}
