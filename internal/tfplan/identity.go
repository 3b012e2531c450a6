package tfplan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/linkedrole"
)

var (
	keyKinds   = []string{"aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key"}
	wantKey    = kinds("aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key", "aws_kms_alias", "data.aws_kms_key", "data.aws_kms_alias", "aws_ebs_default_kms_key", "data.aws_ebs_default_kms_key")
	wantPerson = kinds("aws_iam_role", "aws_iam_user", "aws_iam_service_linked_role", "data.aws_iam_role", "data.aws_iam_user", "data.aws_caller_identity", "data.aws_iam_session_context")
	wantPolicy = kinds("aws_iam_policy", "data.aws_iam_policy")
	wantGroup  = kinds("aws_iam_group")
	wantImage  = kinds("aws_ami", "aws_ami_copy", "aws_ami_from_instance", "data.aws_ami")
	wantSnap   = kinds("aws_ebs_snapshot", "aws_ebs_snapshot_copy", "data.aws_ebs_snapshot")
	wantVolume = kinds("aws_ebs_volume", "data.aws_ebs_volume")
	wantLT     = kinds("aws_launch_template", "data.aws_launch_template")
	wantLC     = kinds("aws_launch_configuration")
	wantAny    = func(kind string) bool { _, ok := attributes[kind]; return ok }
)

// digest is a name for something that has none yet, the same wherever it is used.
func digest(addr string) string {
	sum := sha256.Sum256([]byte(addr))
	return hex.EncodeToString(sum[:16])
}

// newID is the id of a resource that does not exist yet.
func newID(prefix, addr string) string { return prefix + digest(addr)[:17] }

// identity is what a reference to an attribute of a resource stands for: its value, or the name of
// what does not exist yet.
func (m *model) identity(r *resource, attr string) text {
	if attr != "" {
		x := r.attr(attr)
		if x.isSensitive() {
			return text{why: r.addr + "." + attr + " is marked as sensitive"}
		}
		if s := x.string(); s != "" && !x.isUnknown() {
			return text{s: s}
		}
	}
	unknown := text{why: fmt.Sprintf("%s.%s is not known before apply", r.addr, attr)}
	switch r.kind() {
	case "aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key":
		switch attr {
		case "", "arn":
			return text{s: m.keyARN(r)}
		case "id", "key_id":
			return text{s: m.keyID(r)}
		}
	case "aws_kms_alias", "data.aws_kms_alias":
		switch attr {
		case "", "arn":
			h := m.homeOf(r)
			return text{s: arn.KMSAlias(h.region, h.account, r.known("name"))}
		case "target_key_arn", "target_key_id":
			return m.text(r, wantKey, "target_key_id")
		}
	case "data.aws_kms_key":
		return m.text(r, wantKey, "key_id")
	case "aws_ebs_default_kms_key":
		return m.text(r, wantKey, "key_arn")
	case "aws_iam_role", "aws_iam_user", "aws_iam_group", "aws_iam_policy", "aws_iam_service_linked_role":
		switch attr {
		case "", "arn":
			return text{s: m.iamARN(r)}
		case "name", "id":
			if r.typ == "aws_iam_policy" || r.typ == "aws_iam_service_linked_role" && attr == "id" {
				return text{s: m.iamARN(r)}
			}
			return text{s: iamName(r)}
		}
	case "aws_ami", "aws_ami_copy", "aws_ami_from_instance":
		if attr == "" || attr == "id" {
			return text{s: newID("ami-", r.addr)}
		}
	case "aws_ebs_snapshot", "aws_ebs_snapshot_copy":
		if attr == "" || attr == "id" {
			return text{s: newID("snap-", r.addr)}
		}
	case "aws_ebs_volume":
		if attr == "" || attr == "id" {
			return text{s: newID("vol-", r.addr)}
		}
	case "aws_launch_template", "aws_launch_configuration":
		return text{s: newID("lt-", r.addr)}
	}
	return unknown
}

// keyID is the id of a key, or one that stands for it. The tag that fixes an id on development
// servers is taken at its word.
func (m *model) keyID(r *resource) string {
	if id := r.known("key_id"); plainName.MatchString(id) {
		return id
	}
	if r.typ == "aws_kms_replica_key" {
		if primary := m.text(r, wantKey, "primary_key_arn"); isKey(primary.s) {
			a, _ := arn.Parse(primary.s)
			return a.ID()
		}
	}
	if id, _ := r.attr("tags_all", "_custom_id_").v.(string); plainName.MatchString(id) {
		return id
	}
	if r.attr("multi_region").v == true {
		return "mrk-" + digest(r.addr)
	}
	return keyUUID(r.addr)
}

// keyUUID is an id for a key that has none yet.
func keyUUID(addr string) string {
	d := digest(addr)
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", d[:8], d[8:12], d[13:16], d[17:20], d[20:])
}

func (m *model) keyARN(r *resource) string {
	if s := r.known("arn"); isKey(s) {
		return s
	}
	h := m.homeOf(r)
	return arn.KMSKey(h.region, h.account, m.keyID(r))
}

// iamName is the name of a user, role, group or policy.
func iamName(r *resource) string {
	for _, attr := range []string{"name", "user_name"} {
		if name := r.known(attr); plainName.MatchString(name) {
			return name
		}
	}
	if r.typ == "aws_iam_service_linked_role" {
		return linkedName(r.known("aws_service_name"), r.known("custom_suffix"))
	}
	prefix := r.known("name_prefix")
	if !plainName.MatchString(prefix) {
		prefix = "terraform-"
	}
	return prefix + digest(r.addr)[:16]
}

// linkedRoles is the table of service-linked roles. It is only read.
var linkedRoles = sync.OnceValue(linkedrole.All)

// linkedName is the name of a service-linked role. Source: IAM API, CreateServiceLinkedRole.
func linkedName(service, suffix string) string {
	name := linkedRoles()[service].Name
	if name == "" {
		first, _, _ := strings.Cut(service, ".")
		name = "AWSServiceRoleFor" + first
	}
	if plainName.MatchString(suffix) {
		name += "_" + suffix
	}
	return name
}

func (m *model) iamARN(r *resource) string {
	if s := r.known("arn"); isPerson(s, kindOf(r)) && arn.IsServiceLinkedRole(s) == (r.typ == "aws_iam_service_linked_role") {
		return s
	}
	path := r.known("path")
	if !iamPath.MatchString(path) {
		path = "/"
	}
	if service := r.known("aws_service_name"); r.typ == "aws_iam_service_linked_role" {
		if !plainName.MatchString(service) {
			service = "unknown.amazonaws.com"
		}
		path = arn.ServiceLinkedPath(service)
	}
	return arn.Make("iam", "", m.homeOf(r).account, kindOf(r)+path+iamName(r))
}

// standsFor tells what an ARN or id made here is called in the configuration; ok is false if it is
// the real one.
func (m *model) standsFor(r *resource) (string, bool) {
	if r.given {
		return r.standsFor, r.standsFor != ""
	}
	id := "arn"
	switch {
	case wantImage(r.kind()), wantSnap(r.kind()), wantVolume(r.kind()):
		id = "id"
	}
	return r.addr + "." + id, r.known(id) == ""
}
