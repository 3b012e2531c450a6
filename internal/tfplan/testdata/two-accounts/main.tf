# The key is in one account, the group in another. What differs is in the case's file.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  alias   = "keys"
  region  = "us-west-2"
  profile = "keys"
}

provider "aws" {
  alias               = "workload"
  region              = "us-west-2"
  profile             = "workload"
  allowed_account_ids = ["111122223333"]
}

data "aws_caller_identity" "keys" {
  provider = aws.keys
}

resource "aws_kms_key" "shared" {
  provider = aws.keys

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "Enable IAM User Permissions"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.keys.account_id}:root" }
      },
      {
        Sid       = "Allow external account 111122223333 use of the customer managed key"
        Effect    = "Allow"
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Principal = { AWS = "arn:aws:iam::111122223333:root" }
      },
    ], local.attachment)
  })
}

resource "aws_launch_template" "web" {
  provider      = aws.workload
  name_prefix   = "web"
  image_id      = aws_ami.own.id
  instance_type = "m6i.large"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = aws_kms_key.shared.arn
    }
  }
}

resource "aws_ami" "own" {
  provider         = aws.workload
  name             = "own"
  root_device_name = "/dev/xvda"

  ebs_block_device {
    device_name = "/dev/xvda"
    snapshot_id = aws_ebs_snapshot.root.id
  }
}

resource "aws_ebs_snapshot" "root" {
  provider  = aws.workload
  volume_id = aws_ebs_volume.root.id
}

resource "aws_ebs_volume" "root" {
  provider          = aws.workload
  availability_zone = "us-west-2a"
  size              = 8
}

resource "aws_ebs_encryption_by_default" "workload" {
  provider = aws.workload
  enabled  = false
}

resource "aws_autoscaling_group" "web" {
  provider           = aws.workload
  name               = "web"
  availability_zones = ["us-west-2a"]
  min_size           = 1
  max_size           = 1

  launch_template {
    name    = aws_launch_template.web.name
    version = aws_launch_template.web.latest_version
  }
}
