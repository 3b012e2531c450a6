package kms

import (
	"cmp"
	"slices"
	"strings"
)

// A predefined is an alias that AWS reserved in every account for the AWS managed key of a service. The key
// is made when EBS first uses it, or by DescribeKey with the alias; until then the alias has no target.
// Source: KMS Developer Guide, "AWS managed keys"; KMS API Reference, DescribeKey and ListAliases.
type predefined struct {
	name  string // alias/aws/NAME, and the service's principal
	title string // of the service
	what  string // the key protects
	via   string // label in kms:ViaService; that of the name if empty
}

// predefinedKeys are sorted by name.
func predefinedKeys() []predefined {
	return []predefined{
		{name: "acm", title: "ACM", what: "ACM private keys"},
		{name: "backup", title: "AWS Backup", what: "Backup data"},
		{name: "dynamodb", title: "Amazon DynamoDB", what: "DynamoDB data"},
		{name: "ebs", title: "EBS", what: "EBS volumes", via: "ec2"},
		{name: "elasticfilesystem", title: "EFS", what: "EFS filesystems"},
		{name: "es", title: "Elasticsearch", what: "Elasticsearch data"},
		{name: "fsx", title: "FSx", what: "FSx resources"},
		{name: "glue", title: "Glue", what: "Glue data"},
		{name: "kinesis", title: "Kinesis", what: "Kinesis data"},
		{name: "kinesisvideo", title: "Kinesis Video Streams", what: "Kinesis Video Streams data"},
		{name: "lambda", title: "AWS Lambda", what: "Lambda functions"},
		{name: "rds", title: "RDS", what: "RDS database volumes"},
		{name: "redshift", title: "Redshift", what: "Redshift clusters"},
		{name: "s3", title: "S3", what: "S3 objects"},
		{name: "secretsmanager", title: "AWS Secrets Manager", what: "Secrets Manager data"},
		{name: "sns", title: "Amazon SNS", what: "SNS data"},
		{name: "sqs", title: "Amazon SQS", what: "SQS messages"},
		{name: "ssm", title: "SSM", what: "SSM parameters"},
		{name: "xray", title: "AWS X-Ray", what: "X-Ray data"},
	}
}

const awsAliases = "alias/aws/"

// predefinedAlias is the predefined alias of a name, if it is one.
func predefinedAlias(alias string) (predefined, bool) {
	name, ok := strings.CutPrefix(alias, awsAliases)
	if !ok {
		return predefined{}, false
	}
	all := predefinedKeys()
	i, found := slices.BinarySearchFunc(all, name, func(p predefined, name string) int { return strings.Compare(p.name, name) })
	if !found {
		return predefined{}, false
	}
	return all[i], true
}

// predefinedName reports whether an alias is predefined.
func predefinedName(alias string) bool {
	_, ok := predefinedAlias(alias)
	return ok
}

func (p predefined) alias() string { return awsAliases + p.name }

func (p predefined) principal() string { return p.name + ".amazonaws.com" }

func (p predefined) viaService() string { return cmp.Or(p.via, p.name) }

func (p predefined) description() string {
	return "Default key that protects my " + p.what + " when no other key is defined"
}
