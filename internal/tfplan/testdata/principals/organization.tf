# A service control policy keeps everybody in the account from making grants.

resource "aws_iam_policy" "boundary" {
  name   = "boundary"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}

resource "aws_organizations_policy" "grants" {
  name    = "no-grants"
  content = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "NoGrants", Effect = "Deny", Action = "kms:CreateGrant", Resource = "*" }] })
}

resource "aws_organizations_policy_attachment" "grants" {
  policy_id = aws_organizations_policy.grants.id
  target_id = data.aws_caller_identity.me.account_id
}
