package cfn

import "github.com/kagimori/kagimori/internal/tfplan"

func (t *translation) arn() string { return t.s.iamARN(t.r) }

// person adds a role or user.
func (t *translation) person(typ, boundary string) {
	o := t.top()
	t.add(typ, "", map[string]any{
		"arn": t.arn(), "name": t.s.iamName(t.r), "permissions_boundary": o.value(boundary, "permissions_boundary"),
		"inline_policy":       o.each("Policies", "inline_policy", inline),
		"managed_policy_arns": o.texts("ManagedPolicyArns", "managed_policy_arns"),
	})
}

// inline is an inline policy.
func inline(o obj) map[string]any {
	return map[string]any{"name": o.value("PolicyName", "name"), "policy": o.document("PolicyDocument", "policy")}
}

// generatedRole is the role that SAM makes for a function and the like. Which policies it gets is not
// looked at.
func (t *translation) generatedRole() {
	arn, _ := t.s.generated(t.r.name+"Role", "Arn").scalar()
	if t.s.resources[t.r.name+"Role"] != nil || arn == "" {
		return
	}
	t.add("aws_iam_role", "", map[string]any{
		"arn": arn, "name": t.s.generated(t.r.name+"Role", "").s, "inline_policy": tfplan.Unknown("SAM makes the policies of this role"),
	})
}

func (t *translation) role() { t.person("aws_iam_role", "PermissionsBoundary") }

func (t *translation) user() {
	t.person("aws_iam_user", "PermissionsBoundary")
	if groups := t.top().texts("Groups", "groups"); groups != nil {
		t.add("aws_iam_user_group_membership", "", map[string]any{"user": t.s.iamName(t.r), "groups": groups})
	}
}

func (t *translation) group() {
	o := t.top()
	name := t.s.iamName(t.r)
	t.add("aws_iam_group", "", map[string]any{"arn": t.arn(), "name": name})
	policies, _ := o.each("Policies", "policies", inline).([]any)
	for _, p := range policies {
		values, _ := p.(map[string]any)
		values["group"] = name
		t.add("aws_iam_group_policy", "", values)
	}
	arns, _ := o.texts("ManagedPolicyArns", "policy_arns").([]any)
	for _, a := range arns {
		t.add("aws_iam_group_policy_attachment", "", map[string]any{"group": name, "policy_arn": a})
	}
}

// policy is an inline policy of several.
func (t *translation) policy() {
	o := t.top()
	for _, owner := range [][2]string{{"Roles", "role"}, {"Users", "user"}, {"Groups", "group"}} {
		owners, _ := o.texts(owner[0], owner[1]).([]any)
		for _, name := range owners {
			t.add("aws_iam_"+owner[1]+"_policy", "", map[string]any{
				owner[1]: name, "name": o.value("PolicyName", "name"), "policy": o.document("PolicyDocument", "policy"),
			})
		}
	}
}

// ownPolicy is an inline policy of one.
func (t *translation) ownPolicy(owner, property string) {
	o := t.top()
	t.add("aws_iam_"+owner+"_policy", "", map[string]any{
		owner: o.value(property, owner), "name": o.value("PolicyName", "name"), "policy": o.document("PolicyDocument", "policy"),
	})
}

func (t *translation) rolePolicy()  { t.ownPolicy("role", "RoleName") }
func (t *translation) userPolicy()  { t.ownPolicy("user", "UserName") }
func (t *translation) groupPolicy() { t.ownPolicy("group", "GroupName") }

func (t *translation) managedPolicy() {
	o := t.top()
	t.add("aws_iam_policy", "", map[string]any{"arn": t.arn(), "name": t.s.iamName(t.r), "policy": o.document("PolicyDocument", "policy")})
	t.add("aws_iam_policy_attachment", "", map[string]any{
		"policy_arn": t.arn(), "roles": o.texts("Roles", "roles"), "users": o.texts("Users", "users"), "groups": o.texts("Groups", "groups"),
	})
}

func (t *translation) membership() {
	o := t.top()
	t.add("aws_iam_group_membership", "", map[string]any{"group": o.value("GroupName", "group"), "users": o.texts("Users", "users")})
}

func (t *translation) linkedRole() {
	o := t.top()
	if why := t.props.get("AWSServiceName").why() + t.props.get("CustomSuffix").why(); why != "" {
		t.s.set.note(t.s, t.r.name, "the name of this role is not known: "+why)
	}
	service, _ := o.value("AWSServiceName", "aws_service_name").(string)
	suffix, _ := o.value("CustomSuffix", "custom_suffix").(string)
	t.add("aws_iam_service_linked_role", "", map[string]any{
		"arn": t.arn(), "name": tfplan.LinkedName(service, suffix), "aws_service_name": service, "custom_suffix": suffix,
	})
}
