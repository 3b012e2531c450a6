terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "endpoint" {
  description = "Where kagimori listens."
  type        = string
}

variable "key_account" {
  description = "The account that owns the key."
  type        = string
  default     = "444455556666"
}

variable "group_account" {
  description = "The account whose group uses it."
  type        = string
  default     = "111122223333"
}

variable "region" {
  type    = string
  default = "us-west-2"
}

# The administrator of the account that owns the key.
provider "aws" {
  alias      = "key"
  region     = var.region
  access_key = "${var.key_account}ADMIN"
  secret_key = "test"

  endpoints {
    ec2 = var.endpoint
    iam = var.endpoint
    kms = var.endpoint
    sts = var.endpoint
  }
}

# The administrator of the account of the group.
provider "aws" {
  alias      = "group"
  region     = var.region
  access_key = "${var.group_account}ADMIN"
  secret_key = "test"

  endpoints {
    autoscaling = var.endpoint
    ec2         = var.endpoint
    iam         = var.endpoint
    kms         = var.endpoint
    sts         = var.endpoint
  }
}
