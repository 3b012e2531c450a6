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

variable "account" {
  description = "The account of the example: key and group are in it."
  type        = string
  default     = "123456789012"
}

variable "region" {
  type    = string
  default = "us-west-2"
}

# The access key ACCOUNT + ADMIN is the user admin of that account on a development server.
provider "aws" {
  region     = var.region
  access_key = "${var.account}ADMIN"
  secret_key = "test"

  endpoints {
    autoscaling = var.endpoint
    ec2         = var.endpoint
    iam         = var.endpoint
    kms         = var.endpoint
    sts         = var.endpoint
  }
}
