# Identities: everything that Terraform knows of users, groups, roles, policies and providers.

variable "certificate" {
  description = "A certificate in PEM."
  type        = string
}

variable "private_key" {
  type      = string
  sensitive = true
}

variable "public_key" {
  description = "An RSA key as OpenSSH writes it."
  type        = string
}

variable "description" {
  type    = string
  default = "first"
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_user" "ana" {
  name                 = "ana"
  path                 = "/people/"
  permissions_boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
  force_destroy        = true

  tags = {
    team = var.description
  }
}

resource "aws_iam_user" "bob" {
  name          = "bob"
  force_destroy = true
}

resource "aws_iam_access_key" "ana" {
  user = aws_iam_user.ana.name
}

resource "aws_iam_user_login_profile" "ana" {
  user                    = aws_iam_user.ana.name
  password_reset_required = true
}

resource "aws_iam_user_ssh_key" "ana" {
  username   = aws_iam_user.ana.name
  encoding   = "SSH"
  public_key = var.public_key
}

resource "aws_iam_signing_certificate" "ana" {
  user_name        = aws_iam_user.ana.name
  certificate_body = var.certificate
}

resource "aws_iam_user_policy" "ana" {
  name   = "inline"
  user   = aws_iam_user.ana.name
  policy = data.aws_iam_policy_document.keys.json
}

data "aws_iam_policy_document" "keys" {
  statement {
    actions   = ["kms:ListKeys", "kms:DescribeKey"]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "keys" {
  name        = "keys"
  description = "to list keys"
  policy      = data.aws_iam_policy_document.keys.json

  tags = {
    team = var.description
  }
}

resource "aws_iam_group" "team" {
  name = "team"
  path = "/groups/"
}

resource "aws_iam_group" "crew" {
  name = "crew"
}

resource "aws_iam_group_membership" "team" {
  name  = "team"
  group = aws_iam_group.team.name
  users = [aws_iam_user.ana.name]
}

resource "aws_iam_user_group_membership" "bob" {
  user   = aws_iam_user.bob.name
  groups = [aws_iam_group.crew.name]
}

resource "aws_iam_group_policy" "team" {
  name   = "inline"
  group  = aws_iam_group.team.name
  policy = data.aws_iam_policy_document.keys.json
}

resource "aws_iam_group_policy_attachment" "team" {
  group      = aws_iam_group.team.name
  policy_arn = aws_iam_policy.keys.arn
}

resource "aws_iam_role" "app" {
  name                 = "app"
  description          = var.description
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 7200

  tags = {
    team = var.description
  }
}

resource "aws_iam_role_policy" "app" {
  name   = "inline"
  role   = aws_iam_role.app.id
  policy = data.aws_iam_policy_document.keys.json
}

resource "aws_iam_role_policy_attachment" "app" {
  role       = aws_iam_role.app.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_instance_profile" "app" {
  name = "app"
  role = aws_iam_role.app.name
}

resource "aws_iam_service_linked_role" "groups" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = "terraform"
  description      = var.description
}

resource "aws_iam_openid_connect_provider" "issuer" {
  url             = "https://issuer.example.com"
  client_id_list  = ["app"]
  thumbprint_list = ["0123456789abcdef0123456789abcdef01234567"]
}

resource "aws_iam_saml_provider" "idp" {
  name = "idp"

  saml_metadata_document = join("", [
    "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.example.com\">",
    join("", [for i in range(1000) : " "]),
    "</EntityDescriptor>",
  ])
}

resource "aws_iam_account_alias" "alias" {
  account_alias = "kagimori-terraform"
}

resource "aws_iam_account_password_policy" "strict" {
  minimum_password_length        = 12
  require_lowercase_characters   = true
  require_numbers                = true
  allow_users_to_change_password = true
}

resource "aws_iam_virtual_mfa_device" "phone" {
  virtual_mfa_device_name = "phone"
}

resource "aws_iam_server_certificate" "web" {
  name             = "web"
  certificate_body = var.certificate
  private_key      = var.private_key
}

data "aws_iam_policy" "read_only" {
  name = "ReadOnlyAccess"
}

data "aws_iam_role" "app" {
  name = aws_iam_role.app.name
}

output "arns" {
  value = [
    aws_iam_user.ana.arn, aws_iam_group.team.arn, aws_iam_role.app.arn, aws_iam_policy.keys.arn, data.aws_iam_role.app.arn,
    data.aws_iam_policy.read_only.arn, aws_iam_openid_connect_provider.issuer.arn,
  ]
}
