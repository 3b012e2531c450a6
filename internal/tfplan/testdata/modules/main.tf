# Keys and groups by modules, with count and for_each, and two accounts.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "region" {
  default = "eu-west-1"
}

provider "aws" {
  region              = var.region
  profile             = "workload"
  allowed_account_ids = ["111122223333"]
}

provider "aws" {
  alias               = "keys"
  region              = var.region
  profile             = "keys"
  allowed_account_ids = ["444455556666"]
}

module "key" {
  source   = "./key"
  for_each = toset(["blue", "red"])

  providers = {
    aws = aws.keys
  }

  name = each.key
}

module "group" {
  source   = "./group"
  for_each = toset(["blue", "red"])

  name = each.key
  key  = module.key[each.key].arn
  keys = { one = module.key["blue"].arn, two = module.key["red"].arn }
}

resource "aws_kms_key" "own" {
  count = 2
}

resource "aws_kms_alias" "own" {
  name          = "alias/own"
  target_key_id = aws_kms_key.own[1].key_id
}

resource "aws_ebs_volume" "counted" {
  count             = 2
  availability_zone = "eu-west-1a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.own[count.index].arn
}

resource "aws_ebs_volume" "aliased" {
  availability_zone = "eu-west-1a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_alias.own.target_key_arn
}

module "fleet" {
  source  = "./fleet"
  volumes = [{ device = "/dev/xvda", key = aws_kms_key.own[0].arn }]
}

resource "aws_eks_node_group" "nodes" {
  cluster_name    = "cluster"
  node_group_name = "nodes"
  node_role_arn   = "arn:aws:iam::111122223333:role/nodes"
  subnet_ids      = ["subnet-0123456789abcdef0"]
  capacity_type   = "SPOT"

  scaling_config {
    desired_size = 2
    max_size     = 3
    min_size     = 1
  }

  launch_template {
    id      = module.fleet.id
    version = module.fleet.version
  }
}

resource "aws_eks_node_group" "plain" {
  cluster_name    = "cluster"
  node_group_name = "plain"
  node_role_arn   = "arn:aws:iam::111122223333:role/nodes"
  subnet_ids      = ["subnet-0123456789abcdef0"]

  scaling_config {
    desired_size = 0
    max_size     = 3
    min_size     = 0
  }
}
