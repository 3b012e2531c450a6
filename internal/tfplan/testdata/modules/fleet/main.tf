# A template whose devices are a dynamic block, as general modules have it.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "volumes" {
  type = list(object({ device = string, key = string }))
}

resource "aws_launch_template" "this" {
  name     = "fleet"
  image_id = "ami-0123456789abcdef0"

  dynamic "block_device_mappings" {
    for_each = var.volumes

    content {
      device_name = block_device_mappings.value.device

      ebs {
        encrypted  = true
        kms_key_id = block_device_mappings.value.key
      }
    }
  }
}

output "id" {
  value = aws_launch_template.this.id
}

output "version" {
  value = aws_launch_template.this.latest_version
}
