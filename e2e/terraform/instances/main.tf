# Instances with what belongs to them: a network, a key pair, an address, a placement group; a Spot
# Instance and a fleet.

resource "aws_vpc" "main" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "main" }
}

resource "aws_subnet" "main" {
  vpc_id            = aws_vpc.main.id
  cidr_block        = "10.0.1.0/24"
  availability_zone = "${var.region}a"
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "web"
  vpc_id      = aws_vpc.main.id

  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "data" {
  name   = "data"
  vpc_id = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "data" {
  security_group_id            = aws_security_group.data.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_key_pair" "login" {
  key_name   = "login"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgkXRDH1JxwjQ3Px/LXz5CzBQ8oxBVTpVk4eVdLLT8W"
}

resource "aws_placement_group" "near" {
  name     = "near"
  strategy = "cluster"
}

resource "aws_kms_key" "volumes" {
  deletion_window_in_days = 7
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023.*-x86_64"]
  }
}

resource "aws_instance" "web" {
  ami                    = data.aws_ami.linux.id
  instance_type          = "m5.large"
  subnet_id              = aws_subnet.main.id
  vpc_security_group_ids = [aws_security_group.web.id]
  key_name               = aws_key_pair.login.key_name
  placement_group        = aws_placement_group.near.name

  root_block_device {
    encrypted  = true
    kms_key_id = aws_kms_key.volumes.arn
  }

  ebs_block_device {
    device_name = "/dev/sdf"
    volume_size = 1
    encrypted   = true
    kms_key_id  = aws_kms_key.volumes.arn
  }

  metadata_options {
    http_tokens = "required"
  }

  tags = { Name = "web" }
}

resource "aws_eip" "spare" {
  domain = "vpc"
}

resource "aws_launch_template" "fleet" {
  name          = "fleet"
  image_id      = data.aws_ami.linux.id
  instance_type = "m5.large"

  network_interfaces {
    subnet_id       = aws_subnet.main.id
    security_groups = [aws_security_group.web.id]
  }
}

resource "aws_spot_instance_request" "one" {
  ami                    = data.aws_ami.linux.id
  instance_type          = "m5.large"
  subnet_id              = aws_subnet.main.id
  vpc_security_group_ids = [aws_security_group.web.id]
  wait_for_fulfillment   = true
}

# With terminate_instances the provider waits five minutes before it asks for the first time whether the fleet
# is deleted, whatever the server does: destroying this takes that long.
resource "aws_ec2_fleet" "two" {
  terminate_instances = true

  launch_template_config {
    launch_template_specification {
      launch_template_id = aws_launch_template.fleet.id
      version            = aws_launch_template.fleet.latest_version
    }
  }

  target_capacity_specification {
    default_target_capacity_type = "on-demand"
    total_target_capacity        = 2
  }
}
