# The key of the volumes. Its policy lets the service-linked role use the key, and forgets the grant
# that EC2 needs to attach volumes: kagimori check says so, and what to add.

data "aws_iam_policy_document" "volumes" {
  statement {
    sid       = "Enable IAM User Permissions"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }

  statement {
    sid       = "Allow service-linked role use of the customer managed key"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"]
    }
  }
}

resource "aws_kms_key" "volumes" {
  description = "Volumes of the web servers"
  policy      = data.aws_iam_policy_document.volumes.json
}
