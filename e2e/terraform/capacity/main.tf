# What an account sets aside: a Capacity Reservation and an instance that asks for it, a Dedicated Host and an instance on
# it.

resource "aws_ec2_capacity_reservation" "web" {
  instance_type           = "t3.micro"
  instance_platform       = "Linux/UNIX"
  availability_zone       = "${var.region}a"
  instance_count          = 2
  instance_match_criteria = "targeted"
  tags                    = { Name = "web" }
}

resource "aws_ec2_host" "own" {
  instance_family   = "m5"
  availability_zone = "${var.region}a"
  auto_placement    = "off"
  host_recovery     = "off"
  tags              = { Name = "own" }
}

data "aws_ami" "linux" {
  most_recent = true
  owners      = ["amazon"]

  filter {
    name   = "name"
    values = ["al2023-ami-2023.*-x86_64"]
  }
}

resource "aws_instance" "reserved" {
  ami               = data.aws_ami.linux.id
  instance_type     = "t3.micro"
  availability_zone = "${var.region}a"

  capacity_reservation_specification {
    capacity_reservation_target {
      capacity_reservation_id = aws_ec2_capacity_reservation.web.id
    }
  }
}

resource "aws_instance" "hosted" {
  ami               = data.aws_ami.linux.id
  instance_type     = "m5.large"
  availability_zone = "${var.region}a"
  tenancy           = "host"
  host_id           = aws_ec2_host.own.id
}
