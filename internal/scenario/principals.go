package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/scenario/format"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// LaunchPolicy is the name of the inline policy that the caller of EC2 gets for the EC2 call
// itself.
const LaunchPolicy = "scenario-launch"

// named splits the ARN of a role or user into its account, path and name.
func named(principal string) (account, path, name string) {
	a, err := arn.Parse(principal)
	if err != nil {
		return "", "", ""
	}
	id := a.ID()
	cut := strings.LastIndexByte(id, '/') + 1
	return a.Account, "/" + id[:cut], id[cut:]
}

// isRoot reports whether an ARN is that of a root user.
func isRoot(principal string) bool { return principal == arn.Root(account(principal)) }

// vacant looks for what is in the way before anything is made.
func (w *World) vacant(ctx context.Context) error {
	for _, k := range w.Scenario.Keys {
		if k.Manager != managerAWS {
			if err := w.noKey(ctx, k); err != nil {
				return err
			}
		}
	}
	for _, p := range w.Scenario.Principals {
		account, _, name := named(p.ARN)
		var err error
		switch p.Kind {
		case kindRole:
			err = w.s.ask(ctx, admin(account).in(globalRegion), "iam", "GetRole", &iamapi.GetRoleRequest{RoleName: &name}, nil)
		case kindUser:
			err = w.s.ask(ctx, admin(account).in(globalRegion), "iam", "GetUser", &iamapi.GetUserRequest{UserName: &name}, nil)
		default:
			continue
		}
		if err == nil {
			return occupied(p.ARN)
		}
		if apierr.Code(err) != "NoSuchEntity" {
			return err
		}
	}
	return w.noGroups(ctx)
}

// noGroups looks for groups and launch templates of the names that the launch uses.
func (w *World) noGroups(ctx context.Context) error {
	for _, t := range w.Scenario.Launch.Templates {
		var templates ec2api.DescribeLaunchTemplatesResult
		err := w.s.ask(ctx, w.owner(), "ec2", "DescribeLaunchTemplates", &ec2api.DescribeLaunchTemplatesRequest{
			Filters: []ec2api.Filter{{Name: new("launch-template-name"), Values: []string{templateName(t)}}},
		}, &templates)
		if err != nil {
			return err
		}
		if len(templates.LaunchTemplates) > 0 {
			return occupied("launch template " + templateName(t))
		}
		if w.Scenario.Launch.Group == nil {
			continue
		}
		name := w.groupName(t)
		var groups autoscalingapi.AutoScalingGroupsType
		err = w.s.ask(ctx, w.owner(), "autoscaling", "DescribeAutoScalingGroups", &autoscalingapi.AutoScalingGroupNamesType{
			AutoScalingGroupNames: []string{name},
		}, &groups)
		if err != nil {
			return err
		}
		if len(groups.AutoScalingGroups) > 0 {
			return occupied("group " + name)
		}
	}
	return nil
}

// occupied is the error of a world that has no room.
func occupied(what string) error {
	return fmt.Errorf("%w: %s; nothing was changed: a scenario needs accounts of its own, or a server that was reset", ErrExists, what)
}

// makePrincipals makes roles, users and service-linked roles with their policies and boundaries.
func (w *World) makePrincipals(ctx context.Context) error {
	for _, p := range w.Scenario.Principals {
		if p.ID != "" {
			return fmt.Errorf("%w: %s has the unique id %s; a server chooses those itself", ErrUnable, p.ARN, p.ID)
		}
		var err error
		if p.Kind == kindLinked {
			err = w.makeLinkedRole(ctx, p.ARN)
		} else {
			err = w.makePrincipal(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeLinkedRole makes a service-linked role. One that is there already is the same.
func (w *World) makeLinkedRole(ctx context.Context, role string) error {
	account, path, name := named(role)
	service := strings.TrimSuffix(strings.TrimPrefix(path, "/aws-service-role/"), "/")
	in := &iamapi.CreateServiceLinkedRoleRequest{AWSServiceName: &service}
	if _, suffix, ok := strings.Cut(name, "_"); ok {
		in.CustomSuffix = &suffix
	}
	var out iamapi.CreateServiceLinkedRoleResponse
	err := w.s.do(ctx, admin(account).in(globalRegion), "iam", "CreateServiceLinkedRole", in, &out)
	if apierr.Code(err) == "InvalidInput" && w.s.ask(ctx, admin(account).in(globalRegion), "iam", "GetRole", &iamapi.GetRoleRequest{RoleName: &name}, nil) == nil {
		w.s.tell("service-linked role %s: it is there already", role)
		return nil
	}
	if err != nil {
		return err
	}
	if got := api.Val(out.Role.Arn); got != role {
		return fmt.Errorf("%w: the service-linked role is %s, not %s", ErrUnable, got, role)
	}
	w.s.tell("service-linked role %s", role)
	return nil
}

func (w *World) makePrincipal(ctx context.Context, p Principal) error {
	account, path, name := named(p.ARN)
	who := admin(account).in(globalRegion)
	var boundary *string
	if p.Boundary != nil {
		var out iamapi.CreatePolicyResponse
		err := w.s.do(ctx, who, "iam", "CreatePolicy", &iamapi.CreatePolicyRequest{
			PolicyName: new(name + "-boundary"), PolicyDocument: new(p.Boundary.Compact()),
		}, &out)
		if err != nil {
			return err
		}
		boundary = out.Policy.Arn
	}
	var err error
	if p.Kind == kindUser {
		err = w.s.do(ctx, who, "iam", "CreateUser", &iamapi.CreateUserRequest{
			UserName: &name, Path: &path, PermissionsBoundary: boundary,
		}, &iamapi.CreateUserResponse{})
	} else {
		trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn.Root(account) + `"},"Action":"sts:AssumeRole"}]}`
		err = w.s.do(ctx, who, "iam", "CreateRole", &iamapi.CreateRoleRequest{
			RoleName: &name, Path: &path, AssumeRolePolicyDocument: &trust, PermissionsBoundary: boundary,
		}, &iamapi.CreateRoleResponse{})
	}
	if err != nil {
		return err
	}
	policies := p.Policies
	if c := w.Scenario.Launch.Caller; c != nil && *c == p.ARN {
		policies = append(slices.Clip(policies), InlinePolicy{Name: LaunchPolicy, Policy: Document(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:` + w.Scenario.Launch.Operation + `","Resource":"*"}]}`)})
	}
	for _, pol := range policies {
		if err := w.putInline(ctx, who, p.Kind, name, pol); err != nil {
			return err
		}
	}
	w.s.tell("%s %s", p.Kind, p.ARN)
	return nil
}

func (w *World) putInline(ctx context.Context, who place, kind, name string, p InlinePolicy) error {
	doc, err := identityPolicy(p.Policy)
	if err != nil {
		return err
	}
	if kind == kindUser {
		return w.s.do(ctx, who, "iam", "PutUserPolicy", &iamapi.PutUserPolicyRequest{
			UserName: &name, PolicyName: &p.Name, PolicyDocument: &doc,
		}, nil)
	}
	return w.s.do(ctx, who, "iam", "PutRolePolicy", &iamapi.PutRolePolicyRequest{
		RoleName: &name, PolicyName: &p.Name, PolicyDocument: &doc,
	}, nil)
}

// identityPolicy is a policy as IAM takes it: Sids of letters and digits alone, see [Sid].
func identityPolicy(d Document) (string, error) {
	doc, err := format.ParseAny(d)
	if err != nil {
		return "", err
	}
	changed := false
	statements, _ := doc.(map[string]any)["Statement"].([]any)
	for _, st := range statements {
		m, _ := st.(map[string]any)
		if sid, ok := m["Sid"].(string); ok && Sid(sid) != sid {
			m["Sid"], changed = Sid(sid), true
		}
	}
	if !changed {
		return d.Compact(), nil
	}
	out, err := json.Marshal(doc)
	return string(out), err
}

// Sid is a statement's id as IAM takes it in a policy of a role or user: without what is neither a
// letter nor a digit.
func Sid(sid string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return -1
	}, sid)
}

// meetCallers gets the credentials of everybody who makes a call of the scenario, before
// organization policies could forbid that.
func (w *World) meetCallers(ctx context.Context) error {
	var callers []string
	for _, st := range w.Scenario.Setup {
		callers = append(callers, st.As)
	}
	if c := w.Scenario.Launch.Caller; c != nil {
		callers = append(callers, *c)
	}
	for _, c := range callers {
		if _, ok := w.actors[c]; ok {
			continue
		}
		a, err := w.credentials(ctx, c)
		if err != nil {
			return err
		}
		w.actors[c] = a
	}
	return nil
}

func (w *World) credentials(ctx context.Context, principal string) (actor, error) {
	account, _, name := named(principal)
	if isRoot(principal) {
		return root(account), nil
	}
	i := slices.IndexFunc(w.Scenario.Principals, func(p Principal) bool { return p.ARN == principal })
	if i >= 0 && w.Scenario.Principals[i].Kind == kindUser {
		var out iamapi.CreateAccessKeyResponse
		err := w.s.do(ctx, admin(account).in(globalRegion), "iam", "CreateAccessKey", &iamapi.CreateAccessKeyRequest{UserName: &name}, &out)
		if err != nil {
			return actor{}, err
		}
		k := out.AccessKey
		return actor{principal, sigv4.Credentials{AccessKeyID: *k.AccessKeyId, Secret: api.Val(k.SecretAccessKey)}}, nil
	}
	var out stsapi.AssumeRoleResponse
	err := w.s.do(ctx, admin(account).in(w.Scenario.Region), "sts", "AssumeRole", &stsapi.AssumeRoleRequest{
		RoleArn: &principal, RoleSessionName: new("scenario"),
	}, &out)
	if err != nil {
		return actor{}, err
	}
	k := out.Credentials
	return actor{principal, sigv4.Credentials{
		AccessKeyID: *k.AccessKeyId, Secret: api.Val(k.SecretAccessKey), SessionToken: api.Val(k.SessionToken),
	}}, nil
}
