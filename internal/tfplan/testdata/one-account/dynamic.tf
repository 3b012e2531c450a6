# The statements are dynamic blocks: the plan does not have their expressions.

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Enable IAM User Permissions"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = [aws_iam_service_linked_role.autoscaling.arn]

    content {
      actions   = ["kms:*"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = [statement.value]
      }
    }
  }
}

resource "aws_kms_key" "volumes" {
  policy = data.aws_iam_policy_document.key.json
}
