variable "launchers" {
  default = []
}

data "aws_caller_identity" "here" {
  count = 1
}

data "aws_partition" "here" {
  count = 1
}

locals {
  root = "arn:${data.aws_partition.here[0].partition}:iam::${data.aws_caller_identity.here[0].account_id}:root"
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = [local.root]
    }
  }

  dynamic "statement" {
    for_each = length(var.launchers) > 0 ? { Use = ["kms:GenerateDataKey*", "kms:Decrypt"], Attach = ["kms:CreateGrant"] } : {}
    iterator = of

    content {
      sid       = of.key
      actions   = of.value
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = var.launchers
      }
    }
  }
}

resource "aws_kms_key" "this" {
  policy = data.aws_iam_policy_document.this.json
}

output "arn" {
  value = try(aws_kms_key.this.arn, null)
}
