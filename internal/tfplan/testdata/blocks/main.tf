# A group and a key by modules that write their blocks out of lists, and find the template through a local value.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region              = "us-west-2"
  allowed_account_ids = ["123456789012"]
}

resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
}

module "key" {
  source = "./key"

  launchers = [aws_iam_service_linked_role.autoscaling.arn]
}

module "group" {
  source   = "./group"
  for_each = { plain = false, mixed = true }

  name  = each.key
  mixed = each.value
  volumes = [
    { device = "/dev/xvda", ebs = { encrypted = true, key = module.key.arn } },
    { device = "/dev/sdz", none = "true" },
  ]
}
