package ec2_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/store"
)

// seedPolicy are the two statements of EC2 Auto Scaling User Guide, "Required AWS KMS key policy
// for use with encrypted volumes", for a principal; more are further statements.
func seedPolicy(principal string, more ...string) string {
	admin := `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + mine + `:root"},"Action":["kms:Put*","kms:List*","kms:RevokeGrant"],"Resource":"*"}`
	use := `{"Sid":"Allow service-linked role use of the customer managed key","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},
"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:DescribeKey"],"Resource":"*"}`
	attach := `{"Sid":"Allow attachment of persistent resources","Effect":"Allow","Principal":{"AWS":["` + principal + `"]},
"Action":["kms:CreateGrant"],"Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":true}}}`
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append([]string{admin, use, attach}, more...), ",") + `]}`
}

// deny is a statement about everybody, with a condition.
func deny(action, condition string) string {
	return `{"Effect":"Deny","Principal":"*","Action":"` + action + `","Resource":"*","Condition":` + condition + `}`
}

func TestTheSeedsKeyPolicy(t *testing.T) {
	tests := []struct {
		name   string
		more   string
		denied string // action; "" if the launch succeeds
	}{
		{"two statements are enough", "", ""},
		{"the encryption context is the volume's id",
			deny("kms:GenerateDataKey*", `{"StringNotLike":{"kms:EncryptionContext:aws:ebs:id":"vol-*"}}`), ""},
		{"the caller's requests come through EC2", deny("kms:CreateGrant", `{"StringNotEquals":{"kms:ViaService":"ec2.`+region+`.amazonaws.com"}}`), ""},
		{"the instance's come through EC2", deny("kms:Decrypt", `{"StringNotEquals":{"kms:ViaService":"ec2.`+region+`.amazonaws.com"},"Bool":{"aws:PrincipalIsAWSService":"false"}}`), ""},
		{"EC2 is in CalledVia", deny("kms:CreateGrant", `{"ForAllValues:StringNotEquals":{"aws:CalledVia":"ec2.amazonaws.com"}}`), ""},
		{"the caller's account", deny("kms:CreateGrant", `{"StringNotEquals":{"kms:CallerAccount":"`+mine+`"}}`), ""},
		{"a grant to anybody but the instance is refused",
			deny("kms:CreateGrant", `{"ArnNotLike":{"kms:GranteePrincipal":"arn:aws:sts::`+mine+`:assumed-role/aws:ec2-infrastructure/i-*"}}`), "kms:CreateGrant"},
		{"the infrastructure role may be denied", deny("kms:Decrypt", `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::`+mine+`:role/aws:ec2-infrastructure"}}`), "kms:Decrypt"},
		{"the data plane of EBS says for which volume", deny("kms:Decrypt", `{"Bool":{"aws:PrincipalIsAWSService":"true"},"ArnNotLike":{"aws:SourceArn":"arn:aws:ec2:`+region+`:`+mine+`:volume/vol-*"}}`), ""},
		{"the caller's address is not EC2's", deny("kms:CreateGrant", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			scaling := h.scaling()
			more := []string{}
			if tt.more != "" {
				more = append(more, tt.more)
			}
			key := h.key(seedPolicy(scaling.Principal.RoleARN, more...))
			id := h.run(scaling, encrypted(rootDevice, key))
			if tt.denied == "" {
				h.wantState(id, "running")
				return
			}
			h.wantState(id, "terminated")
			h.wantDenied(id, tt.denied)
			h.clean(key)
		})
	}
}

func TestVolumesAttachSideBySide(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner())
	var ids []string
	for range 6 {
		ids = append(ids, *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId)
	}
	h.Advance(time.Second)
	var wg sync.WaitGroup
	for n, v := range ids {
		wg.Go(func() {
			if _, err := h.try(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &id, VolumeId: &v, Device: new(fmt.Sprint("/dev/sd", string(rune('f'+n))))}); err != nil {
				t.Errorf("%s: %v", v, err)
			}
		})
	}
	wg.Wait()
	if i := h.instance(id); len(i.BlockDeviceMappings) != 7 {
		t.Errorf("%d devices", len(i.BlockDeviceMappings))
	}
	// Termination and detachment at the same time: everything is given back, by one or the other.
	for _, v := range ids[:3] {
		wg.Go(func() { _, _ = h.try(h.owner(), &ec2api.DetachVolumeRequest{VolumeId: &v}) }) // may come too late
	}
	wg.Go(func() {
		if _, err := h.try(h.owner(), &ec2api.TerminateInstancesRequest{InstanceIds: []string{id}}); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	h.Advance(2 * time.Second)
	h.wantState(id, "terminated")
	for _, v := range h.volumes() {
		if *v.State != "available" || len(v.Attachments) != 0 {
			t.Errorf("%s is %s", *v.VolumeId, *v.State)
		}
	}
	if g := h.grants(key); len(g) != 0 {
		t.Errorf("%d grants", len(g))
	}
	h.noJobs()
}

// TestInterruptedStartsAndAttachmentsAreFinished kills the process before and after each KMS
// request.
func TestInterruptedStartsAndAttachmentsAreFinished(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t)
			key := h.key("")
			id := h.run(h.owner(), encrypted("/dev/sdf", key))
			second := h.run(h.owner())
			v := *h.create(&ec2api.CreateVolumeRequest{Size: new(int32(1)), Encrypted: new(true), KmsKeyId: &key}).VolumeId
			ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
			h.Advance(time.Second)
			die := func(_ string, at int) error {
				if at >= n/2 {
					return store.ErrClosed
				}
				return nil
			}
			cut := func() {
				if n%2 == 0 {
					h.wire.breakAt(die, nil)
				} else {
					h.wire.breakAt(nil, die)
				}
			}
			cut()
			if _, err := h.try(h.owner(), &ec2api.AttachVolumeRequest{InstanceId: &second, VolumeId: &v, Device: new("/dev/sdf")}); err == nil {
				t.Error("the attachment was answered by a dead server")
			}
			cut()
			ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
			h.Advance(5 * time.Second)
			h.restart()
			h.Advance(5 * time.Second)
			h.wantState(id, "running")
			h.disk(*h.volumeOn(id, "/dev/sdf").VolumeId)
			if got := h.volumeOn(second, "/dev/sdf"); *got.Attachments[0].State != "attached" {
				t.Errorf("%+v", got.Attachments[0])
			}
			h.disk(v)
			if g := h.grants(key); len(g) != 2 {
				t.Errorf("%d grants", len(g))
			}
			h.noJobs()
		})
	}
}

// TestAKeyScheduledForDeletionFailsLikeAnyOther and its instance goes on until it is stopped.
func TestAKeyScheduledForDeletion(t *testing.T) {
	h := newHouse(t)
	key := h.key("")
	id := h.run(h.owner(), encrypted("/dev/sdf", key))
	h.askKMS("ScheduleKeyDeletion", &kmsapi.ScheduleKeyDeletionRequest{KeyId: &key, PendingWindowInDays: new(int32(7))})
	h.wantState(id, "running")
	h.disk(*h.volumeOn(id, "/dev/sdf").VolumeId)
	h.wantState(h.run(h.owner(), encrypted("/dev/sdf", key)), "terminated")
	ask[ec2api.StopInstancesResult](h.desk, h.owner(), &ec2api.StopInstancesRequest{InstanceIds: []string{id}})
	h.Advance(time.Second)
	ask[ec2api.StartInstancesResult](h.desk, h.owner(), &ec2api.StartInstancesRequest{InstanceIds: []string{id}})
	h.Advance(2 * time.Second)
	h.wantState(id, "stopped")
	h.noJobs()
}
