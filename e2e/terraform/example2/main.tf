# Example 2: the key belongs to another account. Its policy lets that account use the key, and the
# account lets its service-linked role use it by a grant.

variable "name" {
  type    = string
  default = "example2"
}

variable "grant" {
  description = "Whether the service-linked role gets its grant. Without it no instance comes to life."
  type        = bool
  default     = true
}

variable "instances" {
  type    = number
  default = 1
}

variable "capacity_timeout" {
  type    = string
  default = "3m"
}

data "aws_caller_identity" "owner" {
  provider = aws.key
}

data "aws_caller_identity" "user" {
  provider = aws.group
}

data "aws_iam_policy_document" "key" {
  provider = aws.key

  statement {
    sid       = "Enable IAM User Permissions"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.owner.account_id}:root"]
    }
  }

  statement {
    sid       = "Allow external account ${var.group_account} use of the customer managed key"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${var.group_account}:root"]
    }
  }

  # Terraform reads a grant back and ends it, which the page's statement with CreateGrant alone
  # does not let it do.
  statement {
    sid       = "Allow attachment of persistent resources in external account ${var.group_account}"
    actions   = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${var.group_account}:root"]
    }
  }
}

resource "aws_kms_key" "shared" {
  provider                = aws.key
  description             = "Key of example 2"
  policy                  = data.aws_iam_policy_document.key.json
  deletion_window_in_days = 7
}

resource "aws_iam_service_linked_role" "autoscaling" {
  provider         = aws.group
  aws_service_name = "autoscaling.amazonaws.com"
}

# Who makes the grant needs a policy of its own account as well. Terraform makes it below as the
# account's administrator, who has one; this is a user who can do that and nothing else.
data "aws_iam_policy_document" "grantor" {
  provider = aws.group

  statement {
    sid       = "AllowCreationOfGrantForTheKMSKeyinExternalAccount${var.key_account}"
    actions   = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
    resources = [aws_kms_key.shared.arn]
  }
}

resource "aws_iam_policy" "grantor" {
  provider = aws.group
  name     = "${var.name}-grantor"
  policy   = data.aws_iam_policy_document.grantor.json
}

resource "aws_iam_user" "grantor" {
  provider      = aws.group
  name          = "${var.name}-grantor"
  force_destroy = true

  tags = {
    Example = "2"
  }
}

resource "aws_iam_user_policy_attachment" "grantor" {
  provider   = aws.group
  user       = aws_iam_user.grantor.name
  policy_arn = aws_iam_policy.grantor.arn
}

resource "aws_iam_access_key" "grantor" {
  provider = aws.group
  user     = aws_iam_user.grantor.name
}

resource "aws_kms_grant" "autoscaling" {
  provider          = aws.group
  count             = var.grant ? 1 : 0
  name              = var.name
  key_id            = aws_kms_key.shared.arn
  grantee_principal = aws_iam_service_linked_role.autoscaling.arn

  operations = [
    "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey",
    "CreateGrant",
  ]
}

data "aws_availability_zones" "here" {
  provider = aws.group
  state    = "available"
}

data "aws_ami" "linux" {
  provider    = aws.group
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_launch_template" "web" {
  provider      = aws.group
  name          = var.name
  image_id      = data.aws_ami.linux.id
  instance_type = "m5.large"

  block_device_mappings {
    device_name = data.aws_ami.linux.root_device_name

    ebs {
      encrypted             = true
      kms_key_id            = aws_kms_key.shared.arn
      delete_on_termination = true
    }
  }
}

resource "aws_autoscaling_group" "web" {
  provider                  = aws.group
  depends_on                = [aws_iam_service_linked_role.autoscaling, aws_kms_grant.autoscaling]
  name                      = var.name
  availability_zones        = slice(data.aws_availability_zones.here.names, 0, 2)
  min_size                  = var.instances
  max_size                  = var.instances + 1
  wait_for_capacity_timeout = var.capacity_timeout

  launch_template {
    name    = aws_launch_template.web.name
    version = aws_launch_template.web.latest_version
  }
}

output "group_account" {
  value = data.aws_caller_identity.user.account_id
}

output "key_arn" {
  value = aws_kms_key.shared.arn
}
