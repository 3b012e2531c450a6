package rate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Call is what decides which quota a request counts against.
type Call struct {
	Service, Operation string
	ReadOnly           bool
	Region             string
	// Spec is the algorithm or key spec that the request names, if any: KMS counts by the type of the key.
	Spec string
}

// A Mode is where limits come from.
type Mode string

// Modes.
const (
	Off  Mode = "off"  // no limits but those that are set
	High Mode = "high" // ten times AWS's, and never below 100 a second: against runaways only
	AWS  Mode = "aws"  // AWS's defaults
)

// Quotas are the limits of a server. The zero Quotas limit nothing.
type Quotas struct {
	Mode Mode
	// Set are limits by quota, which count before those of the mode: see [ParseSet].
	Set map[string]Limit
}

// ParseMode reads a mode.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(text); m {
	case Off, High, AWS:
		return m, nil
	}
	return "", fmt.Errorf("%q is not off, high or aws", text)
}

// ParseSet reads a limit such as "kms:CreateKey=5" or "ec2:RunInstances=2/5": a quota, tokens a second, and
// the burst, which is the tokens of a second if it is left out. The quota is a service and an operation, a service and a star
// for all its operations that have none of their own, or kms:cryptographic, kms:rsa or kms:ecc. 0 a second
// takes the limit away.
func ParseSet(text string) (quota string, l Limit, err error) {
	quota, value, ok := strings.Cut(text, "=")
	perSecond, burst, hasBurst := strings.Cut(value, "/")
	service, name, named := strings.Cut(quota, ":")
	if l.PerSecond, err = strconv.ParseFloat(perSecond, 64); err == nil {
		l.Burst = l.PerSecond
		if hasBurst {
			l.Burst, err = strconv.ParseFloat(burst, 64)
		}
	}
	for _, f := range []float64{l.PerSecond, l.Burst} {
		ok = ok && f >= 0 && f <= 1e9 && !math.IsNaN(f)
	}
	if !ok || err != nil || !named || service == "" || name == "" || strings.ContainsAny(quota, " \t") {
		return "", Limit{}, fmt.Errorf("%q is not like kms:CreateKey=5 or ec2:RunInstances=2/5", text)
	}
	return quota, l, nil
}

// For is the quota that a call counts against, and its limit.
func (q Quotas) For(c Call) (quota string, l Limit) {
	quota, l = awsQuota(c)
	own := c.Service + ":" + c.Operation
	if set, ok := q.Set[own]; ok {
		return own, set
	}
	if set, ok := q.Set[quota]; ok {
		return quota, set
	}
	if set, ok := q.Set[c.Service+":*"]; ok {
		return own, set
	}
	switch q.Mode {
	case AWS:
		return quota, l
	case High:
		return quota, Limit{PerSecond: math.Max(10*l.PerSecond, 100), Burst: math.Max(10*l.Burst, 1000)}
	}
	return quota, Limit{}
}

// awsQuota is AWS's default.
func awsQuota(c Call) (string, Limit) {
	own := c.Service + ":" + c.Operation
	switch c.Service {
	case "kms":
		return kmsQuota(c)
	case "ec2":
		return own, ec2Limit(c)
	case "sts":
		// Source: IAM User Guide, "IAM and AWS STS quotas": 600 requests a second for an account and Region.
		return "sts:requests", Limit{600, 600}
	case "ebs":
		// Source: Amazon EBS User Guide, "Quotas for Amazon EBS" (EBS direct APIs).
		if n, ok := map[string]float64{
			"GetSnapshotBlock": 1000, "PutSnapshotBlock": 1000, "ListChangedBlocks": 50, "ListSnapshotBlocks": 50, "StartSnapshot": 10, "CompleteSnapshot": 10,
		}[c.Operation]; ok {
			return own, Limit{n, n}
		}
	case "cloudtrail":
		// Source: AWS CloudTrail User Guide, "Quotas in AWS CloudTrail": 2 a second for LookupEvents, 10 for others.
		if c.Operation == "LookupEvents" {
			return own, Limit{2, 2}
		}
		return own, Limit{10, 10}
	}
	// AWS publishes no figures for the others (IAM, Auto Scaling, Organizations): EC2's classes are taken.
	return own, classes(c.ReadOnly)
}

// classes are the two classes of EC2 that most operations are in.
func classes(readOnly bool) Limit {
	if readOnly {
		return Limit{20, 100}
	}
	return Limit{5, 50}
}

// ec2Limit is that of an operation of EC2. Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon
// EC2 API" (request token bucket sizes and refill rates).
func ec2Limit(c Call) Limit {
	switch c.Operation {
	case "RunInstances", "StartInstances":
		return Limit{2, 5}
	}
	return classes(c.ReadOnly)
}

// kmsQuota is that of an operation of KMS. Source: AWS KMS Developer Guide, "Request quotas".
func kmsQuota(c Call) (string, Limit) {
	each := func(n float64) Limit { return Limit{n, math.Max(n, 1)} }
	switch c.Operation {
	case "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GenerateRandom", "ReEncrypt", "VerifyMac",
		"Sign", "Verify", "DeriveSharedSecret":
		switch spec := c.Spec; {
		case strings.HasPrefix(spec, "RSA"):
			return "kms:rsa", each(1000)
		case spec != "" && spec != "SYMMETRIC_DEFAULT" || c.Operation == "Sign" || c.Operation == "Verify" || c.Operation == "DeriveSharedSecret":
			return "kms:ecc", each(1000)
		}
		return "kms:cryptographic", each(kmsCryptographic(c.Region))
	case "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
		n := map[string]float64{"RSA_2048": 1, "RSA_3072": 0.5, "RSA_4096": 0.1, "ECC_NIST_P384": 10, "ECC_NIST_P521": 5}[c.Spec]
		if n == 0 {
			n = 25
		}
		return "kms:GenerateDataKeyPair(" + c.Spec + ")", each(n)
	case "DescribeKey", "GetPublicKey", "ListResourceTags":
		return "kms:" + c.Operation, each(2000)
	case "GetKeyPolicy", "GetKeyRotationStatus":
		return "kms:" + c.Operation, each(1000)
	case "ListAliases", "ListKeys":
		return "kms:" + c.Operation, each(500)
	case "ListGrants", "ListKeyPolicies", "ListRetirableGrants", "ListKeyRotations":
		return "kms:" + c.Operation, each(100)
	case "CreateGrant":
		return "kms:" + c.Operation, each(50)
	case "RetireGrant", "RevokeGrant":
		return "kms:" + c.Operation, each(30)
	case "DeleteAlias", "DeleteImportedKeyMaterial", "EnableKeyRotation", "ImportKeyMaterial", "PutKeyPolicy", "ScheduleKeyDeletion":
		return "kms:" + c.Operation, each(15)
	case "TagResource":
		return "kms:" + c.Operation, each(10)
	case "GetParametersForImport":
		return "kms:" + c.Operation, each(0.25)
	}
	return "kms:" + c.Operation, each(5)
}

// kmsCryptographic is the quota of symmetric cryptographic operations of a Region.
func kmsCryptographic(region string) float64 {
	switch region {
	case "us-east-1", "us-west-2", "eu-west-1":
		return 100_000
	case "us-east-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "eu-central-1", "eu-west-2":
		return 20_000
	}
	return 10_000
}
