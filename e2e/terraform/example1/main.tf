# Example 1: one account. A group launches instances on volumes under a customer managed key,
# because the key's policy lets the group's service-linked role use the key and give EC2 grants.

variable "name" {
  type    = string
  default = "example1"
}

variable "statements" {
  description = "Whether the key policy has the two statements. Without them no instance comes to life."
  type        = bool
  default     = true
}

variable "description" {
  type    = string
  default = "Key of example 1"
}

variable "instances" {
  type    = number
  default = 2
}

variable "capacity_timeout" {
  type    = string
  default = "3m"
}

data "aws_caller_identity" "me" {}

data "aws_partition" "current" {}

data "aws_availability_zones" "here" {
  state = "available"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = var.name
  description      = "Role of ${var.name}"

  tags = {
    Example = "1"
  }
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Enable IAM User Permissions"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = var.statements ? [1] : []

    content {
      sid       = "Allow service-linked role use of the customer managed key"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = [aws_iam_service_linked_role.autoscaling.arn]
      }
    }
  }

  dynamic "statement" {
    for_each = var.statements ? [1] : []

    content {
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
}

resource "aws_kms_key" "volumes" {
  description             = var.description
  policy                  = data.aws_iam_policy_document.key.json
  deletion_window_in_days = 7
  enable_key_rotation     = true
  rotation_period_in_days = 180

  tags = {
    Example = "1"
  }
}

resource "aws_kms_alias" "volumes" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.volumes.key_id
}

resource "aws_launch_template" "web" {
  name                   = var.name
  image_id               = data.aws_ami.linux.id
  instance_type          = "t3.micro"
  update_default_version = true

  block_device_mappings {
    device_name = data.aws_ami.linux.root_device_name

    ebs {
      encrypted             = true
      kms_key_id            = aws_kms_key.volumes.arn
      delete_on_termination = true
      volume_type           = "gp3"
    }
  }

  block_device_mappings {
    device_name = "/dev/sdf"

    ebs {
      encrypted             = true
      kms_key_id            = aws_kms_key.volumes.arn
      delete_on_termination = true
      volume_size           = 1
      volume_type           = "gp3"
    }
  }

  metadata_options {
    http_tokens = "required"
  }

  tag_specifications {
    resource_type = "volume"

    tags = {
      Example = "1"
    }
  }

  tags = {
    Example = "1"
  }
}

resource "aws_autoscaling_group" "web" {
  name                      = var.name
  vpc_zone_identifier       = data.aws_subnets.default.ids
  service_linked_role_arn   = aws_iam_service_linked_role.autoscaling.arn
  min_size                  = 0
  max_size                  = 4
  desired_capacity          = var.instances
  health_check_grace_period = 0
  wait_for_capacity_timeout = var.capacity_timeout

  launch_template {
    id      = aws_launch_template.web.id
    version = "$Latest"
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}

data "aws_instances" "web" {
  depends_on = [aws_autoscaling_group.web]

  instance_tags = {
    "aws:autoscaling:groupName" = aws_autoscaling_group.web.name
  }
}

data "aws_ebs_volumes" "web" {
  depends_on = [aws_autoscaling_group.web]

  filter {
    name   = "attachment.instance-id"
    values = data.aws_instances.web.ids
  }
}

data "aws_ebs_volume" "web" {
  count = 2 * var.instances

  filter {
    name   = "volume-id"
    values = [data.aws_ebs_volumes.web.ids[count.index]]
  }
}

output "key_arn" {
  value = aws_kms_key.volumes.arn
}

output "zones" {
  value = data.aws_availability_zones.here.names
}

output "instances" {
  value = length(data.aws_instances.web.ids)
}

output "volume_keys" {
  description = "The key of each volume, or \"\" for one that is not encrypted."
  value       = [for v in data.aws_ebs_volume.web : v.encrypted ? v.kms_key_id : ""]
}
