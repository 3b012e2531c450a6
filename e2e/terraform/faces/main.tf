# Network interfaces of their own: with an instance from its launch, attached by a resource of its own and by a block, and
# with an Elastic IP address.

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

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "main" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_security_group" "main" {
  name   = "main"
  vpc_id = aws_vpc.main.id
}

resource "aws_network_interface" "first" {
  subnet_id         = aws_subnet.main.id
  private_ips       = ["10.0.1.50"]
  security_groups   = [aws_security_group.main.id]
  description       = var.later ? "changed" : "first"
  source_dest_check = var.later
  tags              = { Name = "first" }
}

resource "aws_instance" "main" {
  ami           = data.aws_ami.ubuntu.id
  instance_type = "m5.large"

  network_interface {
    network_interface_id = aws_network_interface.first.id
    device_index         = 0
  }
}

resource "aws_network_interface" "second" {
  subnet_id         = aws_subnet.main.id
  private_ips_count = var.later ? 2 : 1
}

resource "aws_network_interface_attachment" "second" {
  instance_id          = aws_instance.main.id
  network_interface_id = aws_network_interface.second.id
  device_index         = 1
}

resource "aws_network_interface" "third" {
  subnet_id = aws_subnet.main.id

  attachment {
    instance     = aws_instance.main.id
    device_index = 2
  }
}

resource "aws_eip" "first" {
  domain            = "vpc"
  network_interface = aws_network_interface.first.id
  depends_on        = [aws_internet_gateway.main, aws_instance.main]
}

output "address" {
  value = aws_instance.main.private_ip
}

output "first" {
  value = aws_network_interface.first.id
}
