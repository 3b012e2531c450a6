# Nobody gives the service-linked role a grant.

locals {
  attachment = [{
    Sid       = "Allow attachment of persistent resources in external account 111122223333"
    Effect    = "Allow"
    Action    = "kms:CreateGrant"
    Resource  = "*"
    Principal = { AWS = "arn:aws:iam::111122223333:root" }
  }]
}
