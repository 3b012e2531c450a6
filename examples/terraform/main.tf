# An Auto Scaling group on an encrypted volume.

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

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_launch_template" "web" {
  name          = "web"
  image_id      = data.aws_ami.linux.id
  instance_type = "m6i.large"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = aws_kms_key.volumes.arn
    }
  }
}

resource "aws_autoscaling_group" "web" {
  name               = "web"
  availability_zones = ["us-west-2a"]
  min_size           = 2
  max_size           = 4

  launch_template {
    id      = aws_launch_template.web.id
    version = "$Latest"
  }
}
