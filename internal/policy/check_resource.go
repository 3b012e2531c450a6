package policy

import (
	"strconv"
	"strings"
	"time"
)

// iamPaths are the starts of resources in the ARNs of IAM, in the order of IAM's message.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/",
	"server-certificate/", "policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/",
	"access-report/",
}

var partitions = map[string]bool{
	"aws": true, "aws-cn": true, "aws-us-gov": true, "aws-eusc": true,
	"aws-iso": true, "aws-iso-b": true, "aws-iso-e": true, "aws-iso-f": true,
}

func checkResources(d *draft) string {
	for _, s := range d.Statements {
		for _, list := range [][]Text{s.Resources, s.NotResources} {
			for _, r := range list {
				if text := resourceText(r.Value); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

// resourceText is what is wrong with a resource's form, or "". It is more lenient than IAM may be
// where IAM was not seen to refuse: wildcards in the partition and in the path of an IAM resource,
// a region in the ARN of an S3 resource that has an account.
func resourceText(r string) string {
	if r == "*" {
		return ""
	}
	f := splitARN(r)
	notARN := "Resource " + r + ` must be in ARN format or "*".`
	if len(f) < 2 {
		return notARN
	}
	if !partitions[f[1]] && !strings.ContainsAny(f[1], "*?") {
		full := append(f[:len(f):len(f)], "*", "*", "*", "*")[1:6]
		return `Partition "` + f[1] + `" is not valid for resource "arn:` + strings.Join(full, ":") + `".`
	}
	if f[0] != "arn" {
		return notARN
	}
	if len(f) < 3 || strings.ContainsAny(f[2], "*?") {
		return "Resource vendor must be fully qualified and cannot contain regexes."
	}
	field := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	// A trailing star may run over the colons that are missing after it.
	region := field(3) != "" && (len(f) > 4 || !strings.HasSuffix(field(3), "*"))
	switch f[2] {
	case "s3":
		if region && field(4) == "" {
			return "Resource " + r + " can not contain region information."
		}
	case "iam":
		if region {
			return "IAM resource " + r + " cannot contain region information."
		}
		if len(f) == 6 && !validIAMPath(f[5]) {
			return `IAM resource path must either be "*" or start with ` + strings.Join(iamPaths, ", ") + "."
		}
	}
	return ""
}

// validIAMPath accepts a path that may match a resource of IAM, and root, which sts:AssumeRoot has
// for its resource.
func validIAMPath(path string) bool {
	if path == "root" {
		return true
	}
	literal := path
	if i := strings.IndexAny(path, "*?$"); i >= 0 {
		literal = path[:i]
	}
	for _, start := range iamPaths {
		if strings.HasPrefix(literal, start) || literal != path && strings.HasPrefix(start, literal) {
			return true
		}
	}
	return false
}

// legacyARN reports whether a resource passes IAM's legacy parsing: with an empty field it must be
// a whole ARN, and its service is never empty.
func legacyARN(r string) bool {
	f := splitARN(r)
	if len(f) > 2 && f[2] == "" {
		return false
	}
	return len(f) == 6 || !strings.Contains(r, "::")
}

// splitARN splits at the first five colons that are not part of a policy variable.
func splitARN(s string) []string {
	var f []string
	start, depth := 0, 0
	for i := 0; i < len(s) && len(f) < 5; i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
			i++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			f = append(f, s[start:i])
			start = i + 1
		}
	}
	return append(f, s[start:])
}

// dateLayouts are the forms of the W3C profile of ISO 8601; a fraction may follow the seconds.
var dateLayouts = []string{
	"2006", "2006-01", "2006-01-02",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00",
}

// validDate reports whether s may stand under a Date operator: a date, or seconds since 1970 that
// fit in 64 bits.
//
// Source: IAM User Guide, "Condition operators", Date condition operators.
func validDate(s string) bool {
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return true
	}
	if len(s) > 10 && (len(s) < 16 || s[13] != ':') {
		return false // time.Parse would take an hour of one digit
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			_, offset := t.Zone()
			return max(offset, -offset) < 24*60*60
		}
	}
	return false
}
