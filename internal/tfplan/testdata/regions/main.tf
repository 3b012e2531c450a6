# Multi-Region keys with replicas, a key with imported material, and what launches under them in one Region.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region  = "us-west-2"
  profile = "workload"
}

provider "aws" {
  alias   = "primary"
  region  = "us-east-1"
  profile = "workload"
}

data "aws_caller_identity" "me" {}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "regions"
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Enable IAM User Permissions"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }

  statement {
    sid       = "Allow service-linked role use of the customer managed key"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_service_linked_role.autoscaling.arn]
    }
  }

  statement {
    sid       = "Allow attachment of persistent resources"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_service_linked_role.autoscaling.arn]
    }

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_kms_key" "primary" {
  provider     = aws.primary
  multi_region = true
  policy       = data.aws_iam_policy_document.key.json
}

resource "aws_kms_external_key" "imported" {}

# A replica has a policy of its own.
resource "aws_kms_replica_key" "opened" {
  primary_key_arn = aws_kms_key.primary.arn
  policy          = data.aws_iam_policy_document.key.json
}

resource "aws_kms_key" "elsewhere" {
  provider     = aws.primary
  multi_region = true
  policy       = data.aws_iam_policy_document.key.json
}

resource "aws_kms_replica_key" "closed" {
  primary_key_arn = aws_kms_key.elsewhere.arn
}

resource "aws_launch_template" "opened" {
  name          = "opened"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.micro"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = aws_kms_replica_key.opened.arn
    }
  }
}

resource "aws_autoscaling_group" "opened" {
  name                    = "opened"
  min_size                = 0
  max_size                = 2
  desired_capacity        = 2
  availability_zones      = ["us-west-2a"]
  service_linked_role_arn = aws_iam_service_linked_role.autoscaling.arn

  launch_template {
    id      = aws_launch_template.opened.id
    version = "$Latest"
  }
}

resource "aws_launch_template" "closed" {
  name          = "closed"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.micro"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = aws_kms_replica_key.closed.arn
    }
  }
}

resource "aws_autoscaling_group" "closed" {
  name                    = "closed"
  min_size                = 0
  max_size                = 2
  desired_capacity        = 2
  availability_zones      = ["us-west-2a"]
  service_linked_role_arn = aws_iam_service_linked_role.autoscaling.arn

  launch_template {
    id      = aws_launch_template.closed.id
    version = "$Latest"
  }
}

resource "aws_ebs_volume" "primary" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.primary.arn
}

resource "aws_ebs_volume" "imported" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_external_key.imported.arn
}

resource "aws_spot_instance_request" "batch" {
  ami           = data.aws_ami.linux.id
  instance_type = "t3.micro"

  root_block_device {
    encrypted  = true
    kms_key_id = aws_kms_replica_key.opened.arn
  }
}
