# Whoever applies this is the user admin, whom the plan describes. What it may do with the key comes
# from a policy of the user, one of a group, a managed policy and a boundary.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

data "aws_caller_identity" "me" {}

resource "aws_kms_key" "data" {
  description = "It leaves everything to the account's policies"
}

resource "aws_ebs_encryption_by_default" "off" {
  enabled = false
}

resource "aws_ebs_volume" "data" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.data.arn
}

data "aws_iam_policy_document" "use" {
  statement {
    actions   = ["kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"]
    resources = [aws_kms_key.data.arn]
  }
}

data "aws_iam_policy_document" "grants" {
  statement {
    actions   = ["kms:CreateGrant"]
    resources = [aws_kms_key.data.arn]

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_iam_user" "admin" {
  name                 = "admin"
  permissions_boundary = aws_iam_policy.boundary.arn
}

resource "aws_iam_user_policy" "grants" {
  name   = "grants"
  user   = aws_iam_user.admin.name
  policy = data.aws_iam_policy_document.grants.json
}

resource "aws_iam_policy" "use" {
  name   = "use"
  path   = "/keys/"
  policy = data.aws_iam_policy_document.use.json
}

resource "aws_iam_group" "keys" {
  name = "keys"
}

resource "aws_iam_group_membership" "keys" {
  name  = "keys"
  group = aws_iam_group.keys.name
  users = [aws_iam_user.admin.name]
}

resource "aws_iam_group_policy_attachment" "use" {
  group      = aws_iam_group.keys.name
  policy_arn = aws_iam_policy.use.arn
}

resource "aws_iam_user_policy_attachment" "ec2" {
  user       = aws_iam_user.admin.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEC2FullAccess"
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = "i-0123456789abcdef0"
}
