# The condition of the one-account statement keeps whoever applies the plan from making the grant.

locals {
  attachment = [{
    Sid       = "Allow attachment of persistent resources in external account 111122223333"
    Effect    = "Allow"
    Action    = "kms:CreateGrant"
    Resource  = "*"
    Principal = { AWS = "arn:aws:iam::111122223333:root" }
    Condition = { Bool = { "kms:GrantIsForAWSResource" = true } }
  }]
}

resource "aws_iam_service_linked_role" "autoscaling" {
  provider         = aws.workload
  aws_service_name = "autoscaling.amazonaws.com"
}

resource "aws_kms_grant" "autoscaling" {
  provider          = aws.workload
  key_id            = aws_kms_key.shared.arn
  grantee_principal = aws_iam_service_linked_role.autoscaling.arn

  operations = [
    "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey",
    "CreateGrant",
  ]
}
