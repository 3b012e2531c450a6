package sts

import (
	"context"
	"strings"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/stsapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// taskDuration is how long a session of a member's root user may last at most.
// Source: STS API Reference, AssumeRoot.
const taskDuration = 15 * time.Minute

// taskPolicies are the policies that a session of a member's root user can have, and whether each
// needs central management of root credentials or else privileged root actions to be enabled.
// Source: IAM User Guide, "Perform a privileged task on an AWS Organizations member account".
var taskPolicies = map[string]bool{
	"IAMAuditRootUserCredentials": true, "IAMCreateRootUserPassword": true, "IAMDeleteRootUserCredentials": true,
	"S3UnlockBucketPolicy": false, "SQSUnlockQueuePolicy": false,
}

// taskPrefix is where they are.
const taskPrefix = "arn:" + arn.Partition + ":iam::aws:policy/root-task/"

// theRest is what a session of a member's root user may do beside its task's policy, which only denies.
const theRest = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// AssumeRoot gives the account that manages an organization a short session of a member's root user,
// which can do one task. Source: STS API Reference, AssumeRoot.
func (s *Service) AssumeRoot(ctx context.Context, c *guard.Call, in *stsapi.AssumeRootRequest) (*stsapi.AssumeRootResponse, error) {
	if c.Caller.Principal.Type == authz.Root {
		return nil, denied("Root users cannot call AssumeRoot.")
	}
	target := strings.TrimSuffix(strings.TrimPrefix(api.Val(in.TargetPrincipal), "arn:"+arn.Partition+":iam::"), ":root")
	if !arn.IsAccount(target) {
		return nil, apierr.Newf("ValidationError", "The target principal %s is neither an account nor its root user.", api.Val(in.TargetPrincipal))
	}
	policyARN := api.Val(in.TaskPolicyArn.Arn)
	credentialsTask, known := taskPolicies[strings.TrimPrefix(policyARN, taskPrefix)]
	last := taskDuration
	if in.DurationSeconds != nil && *in.DurationSeconds > 0 {
		last = time.Duration(*in.DurationSeconds) * time.Second
	}
	root := arn.Root(target)
	source := ""
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		// The organization is what lets the manager in, not a policy of the member: what is decided is
		// the caller's own side.
		part := authz.Part{Action: "sts:AssumeRoot", Resource: authz.Resource{ARN: root, Account: c.Account()}}
		part.Context.Set("sts:taskpolicyarn", policyARN)
		if _, err := s.g.Allow(tx, c, part); err != nil {
			return err
		}
		if !known || !strings.HasPrefix(policyARN, taskPrefix) {
			return apierr.Newf("ValidationError", "The task policy %s is invalid.", policyARN)
		}
		return s.manages(tx, c.Account(), target, credentialsTask)
	})
	if err != nil {
		return nil, err
	}
	if sess := c.Caller.Session; sess != nil {
		source = sess.SourceIdentity
	}
	c.Touch(root, target, "AWS::IAM::RootUser")
	now := s.wall().UTC().Truncate(time.Second)
	creds, err := s.dir.Issue(directory.SessionGrant{
		Kind: directory.OfRoot, Account: target, IssuedAt: now, ExpiresAt: now.Add(last), SourceIdentity: source,
		PolicyARNs: []string{policyARN}, Policies: []string{theRest}, HasPolicies: true,
	})
	if err != nil {
		return nil, err
	}
	out := &stsapi.AssumeRootResponse{Credentials: credentials(creds), SourceIdentity: api.Opt(source)}
	c.Respond(out)
	return out, nil
}

// manages wants an account to manage the organization of another one, with the task's feature.
func (s *Service) manages(tx store.Tx, management, member string, credentialsTask bool) error {
	refusal := denied("The account " + management + " cannot act as the root user of the account " + member +
		": it has to manage the organization that the account is a member of, with central root access enabled.")
	o, in, err := s.dir.OrganizationOf(tx, management)
	if err != nil {
		return err
	}
	if !in || o.Management != management || member == management {
		return refusal
	}
	if _, ok, err := s.dir.Member(tx, o, member); err != nil {
		return err
	} else if !ok {
		return refusal
	}
	enabled := false
	if s.rootAccess != nil {
		if enabled, err = s.rootAccess(tx, management, credentialsTask); err != nil {
			return err
		}
	}
	if !enabled {
		return refusal
	}
	return nil
}
