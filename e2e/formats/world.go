package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/smithy-go"
)

const (
	account = "111122223333"
	manager = "000000000000" // of the organization that a development server has
	region  = "us-east-1"
	other   = "eu-west-1"
	chinese = "cn-north-1" // which has SM2
)

// holds is what a fixture holds, for the test to find again.
type holds struct {
	Made time.Time
	// Ciphertexts open with Decrypt, Signatures with Verify, MACs with VerifyMac.
	Ciphertexts []ciphertext
	Signatures  []signature
	MACs        []signature
	Shared      []shared
	PublicKeys  map[string][]byte // DER, by "region ARN"
	// Names are what there is, by kind, each with what is told of it.
	Names map[string]map[string]string
	// Gone are deleted keys.
	Gone    []string
	Skipped []string
}

type ciphertext struct {
	Region, Key, Algorithm string
	Context                map[string]string
	Blob                   []byte
	Plain                  []byte
}

type signature struct {
	Region, Key, Algorithm string
	Message, Signature     []byte
}

// shared is a secret that an encapsulated one, or a peer's public key, leads to.
type shared struct {
	Region, Key, Algorithm string
	In, Secret             []byte
}

// A world is a server that is asked for things.
type world struct {
	url   string
	holds holds
}

func newWorld(url string) *world {
	return &world{url: url, holds: holds{Made: time.Now().UTC().Truncate(time.Second), PublicKeys: map[string][]byte{}, Names: map[string]map[string]string{}}}
}

// clients are those of the administrator of the account in a region.
type clients struct {
	kms    *kms.Client
	iam    *iam.Client
	ec2    *ec2.Client
	asg    *autoscaling.Client
	org    *organizations.Client
	events *cloudtrail.Client
}

func (w *world) in(region string) clients {
	return clientsOf(w.url, region, aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"})
}

// organization is the administrator of the management account.
func (w *world) organization() clients {
	return clientsOf(w.url, region, aws.Credentials{AccessKeyID: manager + "ADMIN", SecretAccessKey: "test"})
}

func clientsOf(url, region string, creds aws.Credentials) clients {
	cfg := aws.Config{
		Region: region, BaseEndpoint: &url, RetryMaxAttempts: 1, HTTPClient: http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
	}
	return clients{kms.NewFromConfig(cfg), iam.NewFromConfig(cfg), ec2.NewFromConfig(cfg), autoscaling.NewFromConfig(cfg), organizations.NewFromConfig(cfg), cloudtrail.NewFromConfig(cfg)}
}

// advance moves the clock of the server.
func (w *world) advance(d time.Duration) error {
	res, err := http.Post(w.url+"/_kagimori/clock", "application/json", strings.NewReader(`{"advance":"`+d.String()+`"}`))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the clock: %s", res.Status)
	}
	return nil
}

// A step makes something. Early programs do not have all of it.
type step struct {
	name string
	do   func(context.Context) error
}

// make makes everything.
func (w *world) make(ctx context.Context) error {
	for _, s := range slices.Concat(w.keySteps(), w.keyStateSteps(), w.peopleSteps(), w.computeSteps()) {
		err := s.do(ctx)
		if missing(err) {
			w.holds.Skipped = append(w.holds.Skipped, s.name+": "+err.Error())
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if err := w.look(ctx, func(kind, name, told string) {
		if w.holds.Names[kind] == nil {
			w.holds.Names[kind] = map[string]string{}
		}
		w.holds.Names[kind][name] = told
	}); err != nil {
		return err
	}
	return nil
}

// missing reports whether a program does not have an operation, or not all of its parameters.
func missing(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains([]string{
		"UnknownOperationException", "InvalidAction", "UnsupportedOperationException", "UnsupportedOperation", "UnrecognizedClientException", "InvalidSignatureException", // the last of a Region that a server does not have
		"XksProxyUriUnreachableException", "UnknownParameter", "ValidationException", "SerializationException", "InvalidParameterValue", "ValidationError", "NotImplemented",
	}, e.ErrorCode())
}

// look tells of everything that is there, and what is told of it that stays.
func (w *world) look(ctx context.Context, tell func(kind, name, told string)) error {
	var errs []error
	try := func(what string, err error) bool {
		if err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return err == nil
	}
	for _, r := range []string{region, other, chinese} {
		c := w.in(r)
		w.lookAtKeys(ctx, r, c, try, tell)
		if r != region {
			continue
		}
		w.lookAtPeople(ctx, c, try, tell)
		w.lookAtMachines(ctx, c, try, tell)
	}
	return errors.Join(errs...)
}

func (w *world) lookAtKeys(ctx context.Context, r string, c clients, try func(string, error) bool, tell func(kind, name, told string)) {
	keys, err := c.kms.ListKeys(ctx, &kms.ListKeysInput{Limit: aws.Int32(1000)})
	if !try("ListKeys", err) {
		return
	}
	for _, k := range keys.Keys {
		d, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: k.KeyArn})
		if !try("DescribeKey", err) {
			continue
		}
		m := d.KeyMetadata
		state := string(m.KeyState)
		if state == "PendingDeletion" || state == "PendingReplicaDeletion" {
			continue // it may be gone by then
		}
		tell("key", r+" "+*k.KeyArn, fmt.Sprint(m.KeySpec, m.KeyUsage, m.Origin, state, aws.ToBool(m.MultiRegion), aws.ToString(m.Description)))
		p, err := c.kms.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: k.KeyArn})
		if try("GetKeyPolicy", err) {
			tell("key policy", *k.KeyArn+" "+r, *p.Policy)
		}
		tags, err := c.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: k.KeyArn})
		if try("ListResourceTags", err) {
			for _, t := range tags.Tags {
				tell("key tag", r+" "+*k.KeyArn+" "+*t.TagKey, *t.TagValue)
			}
		}
		if m.KeyManager == "AWS" {
			continue
		}
		grants, err := c.kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: k.KeyArn})
		if !try("ListGrants", err) {
			continue
		}
		for _, g := range grants.Grants {
			if aws.ToString(g.Name) != "" { // others are of machines, and come and go with them
				tell("grant", r+" "+*k.KeyArn+" "+*g.GrantId, fmt.Sprint(aws.ToString(g.Name), aws.ToString(g.GranteePrincipal), g.Operations))
			}
		}
	}
	aliases, err := c.kms.ListAliases(ctx, &kms.ListAliasesInput{Limit: aws.Int32(100)})
	if try("ListAliases", err) {
		for _, a := range aliases.Aliases {
			if a.TargetKeyId != nil {
				tell("alias", *a.AliasArn, *a.TargetKeyId)
			}
		}
	}
	stores, err := c.kms.DescribeCustomKeyStores(ctx, &kms.DescribeCustomKeyStoresInput{})
	if try("DescribeCustomKeyStores", err) {
		for _, s := range stores.CustomKeyStores {
			tell("key store", *s.CustomKeyStoreId, *s.CustomKeyStoreName)
		}
	}
}

func (w *world) lookAtPeople(ctx context.Context, c clients, try func(string, error) bool, tell func(kind, name, told string)) {
	users, err := c.iam.ListUsers(ctx, &iam.ListUsersInput{})
	if try("ListUsers", err) {
		for _, u := range users.Users {
			tell("user", *u.Arn, *u.UserId)
		}
	}
	roles, err := c.iam.ListRoles(ctx, &iam.ListRolesInput{})
	if try("ListRoles", err) {
		for _, r := range roles.Roles {
			tell("role", *r.Arn, *r.RoleId+*r.AssumeRolePolicyDocument)
		}
	}
	policies, err := c.iam.ListPolicies(ctx, &iam.ListPoliciesInput{Scope: "Local"})
	if try("ListPolicies", err) {
		for _, p := range policies.Policies {
			tell("policy", *p.Arn, fmt.Sprint(*p.DefaultVersionId, *p.AttachmentCount))
		}
	}
	groups, err := c.iam.ListGroups(ctx, &iam.ListGroupsInput{})
	if try("ListGroups", err) {
		for _, g := range groups.Groups {
			tell("group", *g.Arn, *g.GroupId)
		}
	}
	c = w.organization()
	accounts, err := c.org.ListAccounts(ctx, &organizations.ListAccountsInput{})
	if try("ListAccounts", err) {
		for _, a := range accounts.Accounts {
			tell("account", *a.Arn, *a.Name)
		}
	}
	scps, err := c.org.ListPolicies(ctx, &organizations.ListPoliciesInput{Filter: "SERVICE_CONTROL_POLICY"})
	if try("ListPolicies of the organization", err) {
		for _, p := range scps.Policies {
			tell("service control policy", *p.Arn, *p.Name)
		}
	}
}

func (w *world) lookAtMachines(ctx context.Context, c clients, try func(string, error) bool, tell func(kind, name, told string)) {
	volumes, err := c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
	if try("DescribeVolumes", err) {
		for _, v := range volumes.Volumes {
			if len(v.Tags) > 0 { // others are of machines
				tell("volume", *v.VolumeId, fmt.Sprint(*v.Size, *v.Encrypted, aws.ToString(v.KmsKeyId)))
			}
		}
	}
	snapshots, err := c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if try("DescribeSnapshots", err) {
		for _, s := range snapshots.Snapshots {
			tell("snapshot", *s.SnapshotId, fmt.Sprint(*s.VolumeSize, *s.Encrypted, aws.ToString(s.KmsKeyId), aws.ToString(s.Description)))
		}
	}
	images, err := c.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if try("DescribeImages", err) {
		for _, i := range images.Images {
			tell("image", *i.ImageId, *i.Name)
		}
	}
	templates, err := c.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{})
	if try("DescribeLaunchTemplates", err) {
		for _, t := range templates.LaunchTemplates {
			tell("launch template", *t.LaunchTemplateId, fmt.Sprint(*t.LaunchTemplateName, *t.LatestVersionNumber, *t.DefaultVersionNumber))
		}
	}
	groups, err := c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	if try("DescribeAutoScalingGroups", err) {
		for _, g := range groups.AutoScalingGroups {
			tell("Auto Scaling group", *g.AutoScalingGroupARN, fmt.Sprint(*g.MinSize, *g.MaxSize, *g.DesiredCapacity))
		}
	}
	policies, err := c.asg.DescribePolicies(ctx, &autoscaling.DescribePoliciesInput{})
	if try("DescribePolicies", err) {
		for _, p := range policies.ScalingPolicies {
			tell("scaling policy", *p.PolicyARN, *p.PolicyName)
		}
	}
}
