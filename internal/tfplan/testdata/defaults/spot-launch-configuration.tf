# The key admits the role of groups, but a launch configuration's Spot Instances are launched by
# another service-linked role.

resource "aws_kms_key" "default" {
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Enable IAM User Permissions"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" }
      },
      {
        Sid       = "Groups"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling" }
      },
    ]
  })
}

resource "aws_launch_configuration" "spot" {
  name_prefix   = "spot"
  image_id      = data.aws_ami.linux.id
  instance_type = "m6i.large"
  spot_price    = "0.05"

  ebs_block_device {
    device_name = "/dev/sdf"
    volume_size = 10
    encrypted   = true
  }
}

resource "aws_autoscaling_group" "spot" {
  name                 = "spot"
  availability_zones   = ["us-west-2a"]
  min_size             = 1
  max_size             = 1
  launch_configuration = aws_launch_configuration.spot.name
}
