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

resource "aws_kms_key" "this" {
  count       = 1
  description = var.name
}

output "arn" {
  value = try(aws_kms_key.this[0].arn, null)
}
