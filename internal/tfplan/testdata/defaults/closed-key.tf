# The default key has the default policy: no group can use it.

resource "aws_kms_key" "default" {}

resource "aws_launch_template" "web" {
  name          = "web"
  image_id      = data.aws_ami.linux.id
  instance_type = "m6i.large"
}

resource "aws_autoscaling_group" "web" {
  name               = "web"
  availability_zones = ["us-west-2a"]
  min_size           = 1
  max_size           = 1

  launch_template {
    id = aws_launch_template.web.id
  }
}
