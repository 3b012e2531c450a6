// Package cli_test plays both examples of the page with the real aws command line, which is told
// nothing but where the server is, the credentials and the region. It fails where aws is missing.
package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kagimori/kagimori/e2e/internal/seed"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// createGrant is the command of example 2, as the page prints it.
const createGrant = `aws kms create-grant \
  --region us-west-2 \
  --key-id arn:aws:kms:us-west-2:444455556666:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d \
  --grantee-principal arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling \
  --operations "Encrypt" "Decrypt" "ReEncryptFrom" "ReEncryptTo" "GenerateDataKey" "GenerateDataKeyWithoutPlaintext" "DescribeKey" "CreateGrant"`

const died = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " +
	"Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"

// A shell runs aws commands as somebody.
type shell struct {
	t   *testing.T
	env []string
	dir string // for policy documents
}

func newShell(t *testing.T, s *server.Server, key, secret string) shell {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Fatalf("the aws command line is needed: %v", err)
	}
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") {
			env = append(env, e)
		}
	}
	env = append(env, "AWS_ENDPOINT_URL="+s.URL, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION="+seed.Region)
	return shell{t, env, t.TempDir()}
}

// try runs a command line in a shell.
func (s shell) try(line string) (stdout, stderr string, ok bool) {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", line)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &out, &errs
	err := cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(errs.String()), err == nil
}

// run runs a command line that has to succeed.
func (s shell) run(line string) string {
	s.t.Helper()
	out, errs, ok := s.try(line)
	if !ok {
		s.t.Fatalf("%s\n%s%s", line, out, errs)
	}
	return out
}

// refused runs a command line that has to fail with a text.
func (s shell) refused(line string, texts ...string) {
	s.t.Helper()
	out, errs, ok := s.try(line)
	if ok {
		s.t.Fatalf("this succeeded: %s\n%s", line, out)
	}
	for _, text := range texts {
		if !strings.Contains(errs, text) {
			s.t.Errorf("%s\nanswers %q, without %q", line, errs, text)
		}
	}
}

// file writes a document and gives its name as aws takes it.
func (s shell) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return "file://" + path
}

// until runs a command until its output is as wanted.
func (s shell) until(line, want string) {
	s.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		out, errs, _ := s.try(line)
		if out == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s\nlast answer: %s%s\nwanted: %s", line, out, errs, want)
		}
		time.Sleep(200 * time.Millisecond) // the command is another process: there is nothing to wait on
	}
}

// group makes a template of the device and a group of one instance.
func (s shell) group(key string) {
	s.t.Helper()
	image := s.run(`aws ec2 describe-images --owners amazon --filters 'Name=name,Values=al2023-ami-*' 'Name=architecture,Values=x86_64' --query 'Images[0].ImageId' --output text`)
	data := `{"ImageId":"` + image + `","InstanceType":"t3.micro","BlockDeviceMappings":[{"DeviceName":"/dev/xvda","Ebs":{"Encrypted":true,"KmsKeyId":"` + key + `"}}]}`
	s.run(`aws ec2 create-launch-template --launch-template-name web --launch-template-data '` + data + `'`)
	s.run(`aws autoscaling create-auto-scaling-group --auto-scaling-group-name web --launch-template 'LaunchTemplateName=web,Version=$Latest' ` +
		`--min-size 1 --max-size 1 --availability-zones us-west-2a us-west-2b`)
}

// fails waits for the first launch to fail, as it does without the statements.
func (s shell) fails() {
	s.t.Helper()
	s.until(`aws autoscaling describe-scaling-activities --auto-scaling-group-name web --query 'Activities[-1].[StatusCode,StatusMessage]' --output text`,
		"Cancelled\t"+died)
}

// recovers waits until the group's instance is in service and checks its volume.
func (s shell) recovers(key string) (instance, volume string) {
	s.t.Helper()
	s.until(`aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names web --query 'AutoScalingGroups[0].Instances[].[LifecycleState,HealthStatus]' --output text`,
		"InService\tHealthy")
	instance = s.run(`aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names web --query 'AutoScalingGroups[0].Instances[0].InstanceId' --output text`)
	got := s.run(`aws ec2 describe-volumes --filters Name=attachment.instance-id,Values=` + instance + ` --query 'Volumes[].[VolumeId,Encrypted,KmsKeyId]' --output text`)
	volume, rest, _ := strings.Cut(got, "\t")
	if rest != "True\t"+key {
		s.t.Errorf("the volumes of %s are %q, want one under %s", instance, got, key)
	}
	return instance, volume
}

// grant checks that a key has one grant for a volume.
func (s shell) grant(key, account, instance, volume string) {
	s.t.Helper()
	var out struct {
		Grants []struct {
			GranteePrincipal, RetiringPrincipal, IssuingAccount string
			Operations                                          []string
			Constraints                                         struct{ EncryptionContextSubset map[string]string }
		}
	}
	text := s.run(`aws kms list-grants --key-id ` + key)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		s.t.Fatal(err)
	}
	found := 0
	for _, g := range out.Grants {
		if g.GranteePrincipal != "arn:aws:sts::"+account+":assumed-role/aws:ec2-infrastructure/"+instance {
			continue
		}
		found++
		if g.RetiringPrincipal != "ec2.us-west-2.amazonaws.com" || g.IssuingAccount != seed.Root(account) || len(g.Operations) != 1 ||
			g.Operations[0] != "Decrypt" || g.Constraints.EncryptionContextSubset["aws:ebs:id"] != volume {
			s.t.Errorf("the grant is %+v", g)
		}
	}
	if found != 1 {
		s.t.Errorf("there are %d grants for %s: %s", found, instance, text)
	}
}

const serviceRole = `aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com`

func TestExample1(t *testing.T) {
	t.Parallel()
	srv := server.Start(t, t.TempDir()+"/data")
	s := newShell(t, srv, seed.GroupAccount+"ADMIN", "test")
	if who := s.run(`aws sts get-caller-identity --query Arn --output text`); who != "arn:aws:iam::123456789012:user/admin" {
		t.Errorf("the caller is %s", who)
	}
	role := s.run(serviceRole + ` --query Role.Arn --output text`)
	if role != seed.Role(seed.GroupAccount) {
		t.Errorf("the role is %s", role)
	}
	s.refused(serviceRole, "InvalidInput", "has been taken in this account")
	key := s.run(`aws kms create-key --query KeyMetadata.Arn --output text`)
	s.group(key)
	s.fails()
	policy := seed.Policy(seed.Full(seed.Root(seed.GroupAccount)), seed.Use(role), seed.Attach(role))
	s.run(`aws kms put-key-policy --key-id ` + key + ` --policy-name default --policy ` + s.file("policy.json", policy))
	instance, volume := s.recovers(key)
	s.grant(key, seed.GroupAccount, instance, volume)
	s.run(`aws autoscaling delete-auto-scaling-group --auto-scaling-group-name web --force-delete`)
	s.until(`aws ec2 describe-volumes --query 'length(Volumes)'`, "0")
	s.until(`aws kms list-grants --key-id `+key+` --query 'length(Grants)'`, "0")
}

func TestExample2(t *testing.T) {
	t.Parallel()
	srv := server.Start(t, t.TempDir()+"/data")
	owner := newShell(t, srv, seed.KeyAccount+"ADMIN", "test")
	admin := newShell(t, srv, seed.UserAccount+"ADMIN", "test")
	key := seed.Key(seed.KeyAccount, seed.KeyID)
	admin.run(serviceRole)
	policy := seed.Policy(seed.Full(seed.Root(seed.KeyAccount)), seed.Use(seed.Root(seed.UserAccount)), seed.Grant(seed.UserAccount))
	made := owner.run(`aws kms create-key --tags TagKey=_custom_id_,TagValue=` + seed.KeyID + ` --policy ` + owner.file("policy.json", policy) +
		` --query KeyMetadata.Arn --output text`)
	if made != key {
		t.Fatalf("the key is %s", made)
	}
	admin.group(key)
	admin.fails()

	admin.run(`aws iam create-user --user-name requester`)
	access := strings.Fields(admin.run(`aws iam create-access-key --user-name requester --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text`))
	if len(access) != 2 {
		t.Fatalf("create-access-key answers %d fields", len(access))
	}
	requester := newShell(t, srv, access[0], access[1])
	requester.refused(createGrant, "AccessDeniedException", "arn:aws:iam::111122223333:user/requester", "kms:CreateGrant")
	admin.run(`aws iam put-user-policy --user-name requester --policy-name grant --policy-document ` + admin.file("user.json", seed.Identity("kms:CreateGrant", key)))
	var grant struct{ GrantId, GrantToken string }
	if err := json.Unmarshal([]byte(requester.run(createGrant)), &grant); err != nil {
		t.Fatal(err)
	}
	if len(grant.GrantId) != 64 || grant.GrantToken == "" {
		t.Errorf("create-grant answers %+v", grant)
	}
	if n := len(seed.Operations()); owner.run(`aws kms list-grants --key-id `+seed.KeyID+` --grant-id `+grant.GrantId+` --query 'length(Grants[0].Operations)'`) != "8" || n != 8 {
		t.Error("the grant does not have eight operations")
	}
	instance, volume := admin.recovers(key)
	owner.grant(key, seed.UserAccount, instance, volume)
	owner.run(`aws kms revoke-grant --key-id ` + key + ` --grant-id ` + grant.GrantId)
	admin.run(`aws autoscaling delete-auto-scaling-group --auto-scaling-group-name web --force-delete`)
	owner.until(`aws kms list-grants --key-id `+key+` --query 'length(Grants)'`, "0")
}
