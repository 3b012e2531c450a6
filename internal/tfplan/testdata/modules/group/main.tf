terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  type = string
}

variable "key" {
  type = string
}

variable "keys" {
  type = map(string)
}

locals {
  key = var.key
}

resource "aws_launch_template" "base" {
  name     = "${var.name}-base"
  image_id = "ami-0123456789abcdef0"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = var.key
    }
  }
}

# Which key each of these has is in an expression that plans do not tell apart.
resource "aws_launch_template" "other" {
  for_each = var.keys
  name     = "${var.name}-${each.key}"
  image_id = "ami-0123456789abcdef0"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted  = true
      kms_key_id = each.value
    }
  }

  block_device_mappings {
    device_name = "/dev/xvdb"

    ebs {
      encrypted  = true
      kms_key_id = local.key
    }
  }
}

resource "aws_autoscaling_group" "this" {
  name               = var.name
  availability_zones = ["eu-west-1a"]
  min_size           = 1
  max_size           = 1

  mixed_instances_policy {
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.base.id
      }

      override {
        instance_type = "m6i.large"

        launch_template_specification {
          launch_template_id = aws_launch_template.other["one"].id
        }
      }
    }

    instances_distribution {
      on_demand_percentage_above_base_capacity = 0
    }
  }
}
