variable "name" {}

variable "mixed" {}

variable "volumes" {
  type = any
}

variable "role" {
  default = null
}

variable "template" {
  default = null
}

locals {
  template = var.template == null ? aws_launch_template.this[0].id : var.template
}

resource "aws_launch_template" "this" {
  count = var.template == null ? 1 : 0

  name_prefix   = "${var.name}-"
  image_id      = "ami-0123456789abcdef0"
  instance_type = "t3.micro"

  dynamic "block_device_mappings" {
    for_each = var.volumes
    iterator = volume

    content {
      device_name = volume.value.device
      no_device   = try(volume.value.none, null)

      dynamic "ebs" {
        for_each = flatten([try(volume.value.ebs, [])])

        content {
          encrypted  = ebs.value.encrypted
          kms_key_id = ebs.value.key
        }
      }
    }
  }
}

resource "aws_autoscaling_group" "this" {
  name                    = var.name
  min_size                = 1
  max_size                = 2
  availability_zones      = ["us-west-2a"]
  service_linked_role_arn = var.role

  dynamic "launch_template" {
    for_each = var.mixed ? [] : [1]

    content {
      id      = local.template
      version = "$Latest"
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = var.mixed ? [1] : []

    content {
      launch_template {
        launch_template_specification {
          launch_template_id = local.template
          version            = "$Latest"
        }
      }
    }
  }
}
