package cfn

import (
	"regexp"
	"strings"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/tfplan"
)

var (
	plainName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	iamPath   = regexp.MustCompile(`^/([!-~]+/)?$`)
)

// ref is what Ref of a name is.
func (s *stack) ref(name string) *node {
	if v, ok := s.pseudo(name); ok {
		return v
	}
	if v, ok := s.parameter(name); ok {
		return dynamicParameter(v)
	}
	return s.identity(name, "")
}

// dynamicParameter is a parameter whose value may be a dynamic reference.
func dynamicParameter(v *node) *node {
	if v.is(text) {
		return dynamic(v)
	}
	return v
}

// getAtt is what Fn::GetAtt of an attribute is.
func (s *stack) getAtt(name, attr string) *node { return s.identity(name, attr) }

// prop is a property of a resource as far as it is known.
func (s *stack) prop(r *res, path ...string) *node {
	busy := r.name + "/" + strings.Join(path, ".")
	if s.busy[busy] {
		return unknownNode("%s is made of itself", r.name)
	}
	s.busy[busy] = true
	defer delete(s.busy, busy)
	return s.eval(r.props.get(path...))
}

// identity is what a reference to a resource is: attr is "" for Ref. What does not exist yet has a
// name that stands for it.
func (s *stack) identity(name, attr string) *node {
	r := s.resources[name]
	if r == nil {
		return s.generated(name, attr)
	}
	if v, ok := s.output(r, attr); ok {
		return v
	}
	address := s.address(name)
	switch r.typ {
	case "AWS::KMS::Key", "AWS::KMS::ReplicaKey":
		switch attr {
		case "Arn":
			return textNode(arn.KMSKey(s.region, s.account, s.keyID(r)))
		case "", "KeyId":
			return textNode(s.keyID(r))
		}
	case "AWS::KMS::Alias":
		switch attr {
		case "", "AliasName":
			return s.prop(r, "AliasName")
		case "TargetKeyId":
			return s.prop(r, "TargetKeyId")
		case "Arn":
			if alias, ok := s.prop(r, "AliasName").scalar(); ok {
				return textNode(arn.KMSAlias(s.region, s.account, alias))
			}
		}
	case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::InstanceProfile":
		switch attr {
		case "":
			return textNode(s.iamName(r))
		case "Arn":
			return textNode(s.iamARN(r))
		}
	case "AWS::IAM::ServiceLinkedRole":
		if attr == "" || attr == "RoleName" {
			return textNode(s.iamName(r))
		}
	case "AWS::IAM::ManagedPolicy":
		if attr == "" || attr == "PolicyArn" {
			return textNode(s.iamARN(r))
		}
	case "AWS::EC2::LaunchTemplate":
		switch attr {
		case "", "LaunchTemplateId":
			return textNode(tfplan.NewID("lt-", address))
		case "LatestVersionNumber", "DefaultVersionNumber":
			return textNode("1")
		}
	case "AWS::EC2::Volume":
		if attr == "" || attr == "VolumeId" {
			return textNode(tfplan.NewID("vol-", address))
		}
	case "AWS::EC2::Instance":
		if attr == "" || attr == "InstanceId" {
			return textNode(tfplan.NewID("i-", address))
		}
	case "AWS::AutoScaling::LaunchConfiguration", "AWS::AutoScaling::AutoScalingGroup":
		if attr == "" {
			return textNode(s.plainName(r, map[string]string{
				"AWS::AutoScaling::LaunchConfiguration": "LaunchConfigurationName", "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName",
			}[r.typ]))
		}
	case "AWS::SSM::Parameter":
		if attr == "Value" {
			return s.prop(r, "Value")
		}
	}
	return s.opaque(r, attr)
}

// opaque stands for an attribute of a resource that has nothing to do with keys. What may be anything,
// of custom resources and nested stacks, is unknown.
func (s *stack) opaque(r *res, attr string) *node {
	what := r.name
	if attr != "" {
		what += "." + attr
	}
	vendor, rest, _ := strings.Cut(r.typ, "::")
	service, _, _ := strings.Cut(rest, "::")
	switch {
	case vendor != "AWS" || service == "CloudFormation":
		return unknownNode("%s (%s) is not known before deployment", what, r.typ)
	case strings.HasSuffix(attr, "Arn") || strings.HasSuffix(attr, "ARN"):
		return &node{kind: text, s: arn.Make(strings.ToLower(service), s.region, s.account, s.name+"/"+r.name), stands: what}
	}
	return &node{kind: text, s: strings.ToLower(r.name) + "-" + s.digest(r.name + "." + attr)[:12], stands: what}
}

// generated is a role that SAM makes for a function, a state machine and the like. Source: AWS SAM
// Developer Guide, "Generated AWS CloudFormation resources".
func (s *stack) generated(name, attr string) *node {
	owner := s.resources[strings.TrimSuffix(name, "Role")]
	if s.sam && owner != nil && strings.HasPrefix(owner.typ, "AWS::Serverless::") && name != owner.name {
		role := s.name + "-" + name + "-" + strings.ToUpper(s.digest(name)[:12])
		switch attr {
		case "":
			return textNode(role)
		case "Arn":
			return textNode(arn.Role(s.account, "/", role))
		}
	}
	if s.sam {
		return unknownNode("%s is made by SAM", name)
	}
	return unknownNode("there is no parameter or resource %s", name)
}

// keyID is the id that stands for a key.
func (s *stack) keyID(r *res) string {
	if r.typ == "AWS::KMS::ReplicaKey" {
		primary, _ := s.prop(r, "PrimaryKeyArn").scalar()
		if a, err := arn.Parse(primary); err == nil && a.Type() == "key" && plainName.MatchString(a.ID()) {
			return a.ID()
		}
	}
	multi := r.typ == "AWS::KMS::ReplicaKey" || s.prop(r, "MultiRegion").isTrue()
	return tfplan.NewKeyID(s.address(r.name), multi)
}

// plainName is the name in a property, or the one that CloudFormation makes.
func (s *stack) plainName(r *res, property string) string {
	if name, ok := s.prop(r, property).scalar(); ok && plainName.MatchString(name) {
		return name
	}
	made := s.name + "-" + r.name
	if len(made) > 50 {
		made = made[:50]
	}
	return made + "-" + strings.ToUpper(s.digest(r.name)[:12])
}

// iamName is the name of a role, user, group, policy or profile.
func (s *stack) iamName(r *res) string {
	kind := strings.TrimPrefix(r.typ, "AWS::IAM::")
	if kind == "ServiceLinkedRole" {
		service, _ := s.prop(r, "AWSServiceName").scalar()
		suffix, _ := s.prop(r, "CustomSuffix").scalar()
		return tfplan.LinkedName(service, suffix)
	}
	return s.plainName(r, kind+"Name")
}

// iamARN is the ARN of a role, user, group, policy or profile.
func (s *stack) iamARN(r *res) string {
	kind := strings.TrimPrefix(r.typ, "AWS::IAM::")
	path, _ := s.prop(r, "Path").scalar()
	if !iamPath.MatchString(path) {
		path = "/"
	}
	if kind == "ServiceLinkedRole" {
		service, _ := s.prop(r, "AWSServiceName").scalar()
		if !plainName.MatchString(service) {
			service = "unknown.amazonaws.com"
		}
		return arn.Role(s.account, arn.ServiceLinkedPath(service), s.iamName(r))
	}
	ns := map[string]string{"Role": "role", "User": "user", "Group": "group", "ManagedPolicy": "policy", "InstanceProfile": "instance-profile"}[kind]
	return arn.Make("iam", "", s.account, ns+path+s.iamName(r))
}
