# Copies, an instance, an attachment, and values that Terraform takes for secret.

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

variable "secret_key" {
  type      = string
  sensitive = true
  default   = "arn:aws:kms:us-west-2:111122223333:key/0badcafe-0000-4000-8000-00000badcafe"
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

resource "aws_ebs_encryption_by_default" "off" {
  enabled = false
}

resource "aws_kms_key" "images" {
  multi_region = true
}

resource "aws_kms_key" "data" {
  is_enabled = false

  tags = {
    _custom_id_ = "1a2b3c4d-5e6f-4a2b-8c4d-5e6f1a2b3c4d"
  }
}

resource "aws_ami_copy" "golden" {
  name              = "golden"
  source_ami_id     = data.aws_ami.linux.id
  source_ami_region = "us-west-2"
  encrypted         = true
  kms_key_id        = aws_kms_key.images.arn
}

resource "aws_instance" "web" {
  ami           = aws_ami_copy.golden.id
  instance_type = "t3.micro"

  root_block_device {
    volume_size = 20
  }

  ebs_block_device {
    device_name = "/dev/sdf"
    encrypted   = true
    kms_key_id  = aws_kms_key.data.arn
  }
}

resource "aws_ebs_volume" "data" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.data.arn
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdh"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.web.id
}

resource "aws_ebs_snapshot" "data" {
  volume_id = aws_ebs_volume.data.id
}

resource "aws_ebs_snapshot_copy" "data" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = "us-west-2"
  encrypted          = true
  kms_key_id         = aws_kms_key.images.arn
}

resource "aws_ebs_volume" "secret" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = var.secret_key
}

resource "aws_ebs_volume" "outside" {
  availability_zone = "us-west-2a"
  size              = 1
  encrypted         = true
  kms_key_id        = "arn:aws:kms:us-west-2:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}
