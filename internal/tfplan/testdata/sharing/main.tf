# An image that one account encrypts and shares, and what launches from it in another.

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
  alias   = "images"
  region  = "us-west-2"
  profile = "keys"
}

data "aws_caller_identity" "workload" {}

data "aws_caller_identity" "images" {
  provider = aws.images
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_kms_key" "images" {
  provider = aws.images

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Enable IAM User Permissions"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.images.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Allow external account use of the customer managed key"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.workload.account_id}:root" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
      },
      {
        Sid       = "Allow attachment of persistent resources in the external account"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.workload.account_id}:root" }
        Action    = "kms:CreateGrant"
        Resource  = "*"
      },
    ]
  })
}

resource "aws_ami_copy" "golden" {
  provider          = aws.images
  name              = "golden"
  source_ami_id     = data.aws_ami.linux.id
  source_ami_region = "us-west-2"
  encrypted         = true
  kms_key_id        = aws_kms_key.images.arn
}

resource "aws_ami_launch_permission" "workload" {
  provider   = aws.images
  image_id   = aws_ami_copy.golden.id
  account_id = data.aws_caller_identity.workload.account_id
}

resource "aws_ebs_volume" "data" {
  provider          = aws.images
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.images.arn
}

resource "aws_ebs_snapshot" "data" {
  provider  = aws.images
  volume_id = aws_ebs_volume.data.id
}

resource "aws_snapshot_create_volume_permission" "workload" {
  provider    = aws.images
  snapshot_id = aws_ebs_snapshot.data.id
  account_id  = data.aws_caller_identity.workload.account_id
}

resource "aws_kms_key" "own" {}

resource "aws_ebs_default_kms_key" "own" {
  key_arn = aws_kms_key.own.arn
}

# The account's own key: the copy is made under it.
resource "aws_ebs_snapshot_copy" "own" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = "us-west-2"
  encrypted          = true
  kms_key_id         = aws_kms_key.own.arn
}

resource "aws_instance" "web" {
  ami           = aws_ami_copy.golden.id
  instance_type = "t3.micro"
}

resource "aws_ami_from_instance" "backup" {
  name               = "backup"
  source_instance_id = aws_instance.web.id
}

resource "aws_launch_template" "web" {
  name          = "web"
  image_id      = aws_ami_copy.golden.id
  instance_type = "t3.micro"
}

resource "aws_autoscaling_group" "web" {
  name               = "web"
  min_size           = 0
  max_size           = 2
  desired_capacity   = 2
  availability_zones = ["us-west-2a"]

  launch_template {
    id      = aws_launch_template.web.id
    version = "$Latest"
  }

  depends_on = [aws_ami_launch_permission.workload]
}
