# Instances with public addresses, their own and Elastic IP addresses, and what of their network can be changed: the
# subnet, security groups and their rules.

variable "later" {
  description = "Whether the configuration is the changed one."
  type        = bool
  default     = false
}

data "aws_ami" "ubuntu" {
  owners      = ["099720109477"]
  most_recent = true

  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]
  }
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "open" {
  vpc_id                                      = aws_vpc.main.id
  cidr_block                                  = "10.0.1.0/24"
  map_public_ip_on_launch                     = true
  enable_resource_name_dns_a_record_on_launch = true
  private_dns_hostname_type_on_launch         = var.later ? "ip-name" : "resource-name"
}

resource "aws_subnet" "closed" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.2.0/24"
}

resource "aws_security_group" "one" {
  name   = "one"
  vpc_id = aws_vpc.main.id
}

resource "aws_security_group" "two" {
  name   = "two"
  vpc_id = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id = aws_security_group.one.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = var.later ? 8443 : 443
  cidr_ipv4         = var.later ? "10.0.0.0/8" : "0.0.0.0/0"
  description       = var.later ? "inside" : "everybody"
}

resource "aws_security_group_rule" "old" {
  type              = "ingress"
  security_group_id = aws_security_group.two.id
  protocol          = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_blocks       = ["10.0.0.0/8"]
  description       = var.later ? "second" : "first"
}

# A public address because the subnet gives one; none although it does; one although the other subnet does not.
resource "aws_instance" "by_subnet" {
  ami                    = data.aws_ami.ubuntu.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.open.id
  vpc_security_group_ids = var.later ? [aws_security_group.two.id] : [aws_security_group.one.id]
}

resource "aws_instance" "refused" {
  ami                         = data.aws_ami.ubuntu.id
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.open.id
  associate_public_ip_address = false
}

resource "aws_instance" "asked" {
  ami                         = data.aws_ami.ubuntu.id
  instance_type               = "t3.micro"
  subnet_id                   = aws_subnet.closed.id
  associate_public_ip_address = true
}

resource "aws_eip" "moving" {
  domain   = "vpc"
  instance = var.later ? null : aws_instance.by_subnet.id
}

resource "aws_eip_association" "later" {
  count         = var.later ? 1 : 0
  allocation_id = aws_eip.moving.id
  instance_id   = aws_instance.asked.id
}

output "public" {
  value = [aws_instance.by_subnet.public_ip != "", aws_instance.refused.public_ip != "", aws_instance.asked.public_ip != ""]
}
