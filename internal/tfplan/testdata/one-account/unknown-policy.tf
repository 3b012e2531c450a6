# The document is a string that Terraform knows only after apply, and no plan says what is in it.

resource "aws_kms_key" "volumes" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "kms:*"
      Resource  = "*"
      Principal = { AWS = [aws_iam_service_linked_role.autoscaling.arn, "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root"] }
    }]
  })
}
