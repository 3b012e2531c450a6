# Groups with what belongs to the life of their instances: lifecycle hooks, a warm pool, an instance
# refresh, a launch configuration, load balancers that are attached by resources of their own.

variable "later" {
  description = "Whether the configuration is the changed one."
  type        = bool
  default     = false
}

variable "user_data" {
  description = "What a change of the template brings: it begins an instance refresh."
  type        = string
  default     = "one"
}

variable "pool" {
  description = "Whether the group has a warm pool."
  type        = bool
  default     = true
}

locals {
  queue  = "arn:aws:sqs:${var.region}:${var.account}:hooks"
  target = "arn:aws:elasticloadbalancing:${var.region}:${var.account}:targetgroup/web/0123456789abcdef"
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

data "aws_iam_policy_document" "hooks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["autoscaling.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "hooks" {
  name               = "hooks"
  assume_role_policy = data.aws_iam_policy_document.hooks.json
}

resource "aws_launch_template" "web" {
  name          = "lifecycle"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.micro"
  user_data     = base64encode(var.user_data)

  block_device_mappings {
    device_name = data.aws_ami.linux.root_device_name
    ebs {
      encrypted = true
    }
  }
}

resource "aws_autoscaling_group" "web" {
  name                = "lifecycle"
  min_size            = 0
  max_size            = 2
  desired_capacity    = 1
  availability_zones  = ["${var.region}a"]
  default_cooldown    = 1
  health_check_type   = "EC2"
  force_delete        = true
  suspended_processes = var.later ? ["AZRebalance"] : []

  force_delete_warm_pool = true

  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }

  initial_lifecycle_hook {
    name                    = "drain"
    lifecycle_transition    = "autoscaling:EC2_INSTANCE_TERMINATING"
    default_result          = "CONTINUE"
    heartbeat_timeout       = 30
    notification_metadata   = jsonencode({ why = "drain" })
    notification_target_arn = local.queue
    role_arn                = aws_iam_role.hooks.arn
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 0
      checkpoint_percentages = [100]
      checkpoint_delay       = 0
      instance_warmup        = 0
      auto_rollback          = true
    }
  }

  dynamic "warm_pool" {
    for_each = var.pool ? [1] : []
    content {
      pool_state                  = var.later ? "Running" : "Stopped"
      min_size                    = 1
      max_group_prepared_capacity = var.later ? 2 : 1
      instance_reuse_policy {
        reuse_on_scale_in = var.later
      }
    }
  }
}

resource "aws_autoscaling_lifecycle_hook" "own" {
  name                   = "own"
  autoscaling_group_name = aws_autoscaling_group.web.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  default_result         = var.later ? "ABANDON" : "CONTINUE"
  heartbeat_timeout      = var.later ? 60 : 30
  notification_metadata  = "own"
}

resource "aws_launch_configuration" "old" {
  name_prefix                 = "old-"
  image_id                    = data.aws_ami.linux.id
  instance_type               = var.later ? "t3.small" : "t3.micro"
  associate_public_ip_address = true
  enable_monitoring           = false
  ebs_optimized               = true
  user_data                   = "#!/bin/sh"

  root_block_device {
    volume_type           = "gp3"
    volume_size           = 10
    iops                  = 3000
    throughput            = 125
    encrypted             = true
    delete_on_termination = true
  }

  ebs_block_device {
    device_name = "/dev/sdf"
    volume_type = "gp2"
    volume_size = 1
    encrypted   = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Of a group that has load balancers the provider asks for their health when its size changes, so this
# one's does not.
resource "aws_autoscaling_group" "old" {
  name                 = "old"
  min_size             = 0
  max_size             = 1
  availability_zones   = ["${var.region}a", "${var.region}b"]
  launch_configuration = aws_launch_configuration.old.name

  lifecycle {
    ignore_changes = [load_balancers, target_group_arns, traffic_source]
  }
}

resource "aws_autoscaling_attachment" "target" {
  autoscaling_group_name = aws_autoscaling_group.old.name
  lb_target_group_arn    = local.target
}

resource "aws_autoscaling_attachment" "classic" {
  autoscaling_group_name = aws_autoscaling_group.old.name
  elb                    = var.later ? "classic-2" : "classic"
}

output "version" {
  value = aws_launch_template.web.latest_version
}
