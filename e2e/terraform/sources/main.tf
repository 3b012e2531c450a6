# Where volumes come from: a snapshot of an encrypted volume, its copy under another key, images of
# both, and an instance of one of them under yet another key.

resource "aws_kms_key" "first" {
  deletion_window_in_days = 7
}

resource "aws_kms_key" "second" {
  deletion_window_in_days = 7
}

resource "aws_ebs_volume" "data" {
  availability_zone = "${var.region}a"
  size              = 1
  encrypted         = true
  kms_key_id        = aws_kms_key.first.arn

  tags = {
    Name = "data"
  }
}

resource "aws_ebs_snapshot" "data" {
  volume_id   = aws_ebs_volume.data.id
  description = "of the data"

  tags = {
    Name = "data"
  }
}

resource "aws_ebs_snapshot_copy" "data" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = var.region
  encrypted          = true
  kms_key_id         = aws_kms_key.second.arn
}

resource "aws_snapshot_create_volume_permission" "other" {
  snapshot_id = aws_ebs_snapshot.data.id
  account_id  = "444455556666"
}

resource "aws_ami" "golden" {
  name                = "golden"
  virtualization_type = "hvm"
  architecture        = "x86_64"
  root_device_name    = "/dev/xvda"

  ebs_block_device {
    device_name = "/dev/xvda"
    snapshot_id = aws_ebs_snapshot.data.id
    volume_size = 2
  }

  tags = {
    Name = "golden"
  }
}

resource "aws_ami_copy" "golden" {
  name              = "copy"
  source_ami_id     = aws_ami.golden.id
  source_ami_region = var.region
  encrypted         = true
  kms_key_id        = aws_kms_key.second.arn
}

resource "aws_ami_launch_permission" "other" {
  image_id   = aws_ami.golden.id
  account_id = "444455556666"
}

resource "aws_instance" "golden" {
  ami           = aws_ami.golden.id
  instance_type = "t3.micro"

  root_block_device {
    encrypted  = true
    kms_key_id = aws_kms_key.second.arn
  }
}

resource "aws_ami_from_instance" "golden" {
  name               = "from-instance"
  source_instance_id = aws_instance.golden.id
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.golden.id
}

data "aws_ebs_snapshot" "data" {
  most_recent = true
  owners      = ["self"]

  filter {
    name   = "volume-id"
    values = [aws_ebs_volume.data.id]
  }

  depends_on = [aws_ebs_snapshot.data]
}

data "aws_ami" "golden" {
  owners = ["self"]

  filter {
    name   = "name"
    values = ["golden"]
  }

  depends_on = [aws_ami.golden]
}

output "keys" {
  description = "Of the snapshot, of its copy, and of the instance's root volume, by the keys' names."
  value = [for arn in [
    data.aws_ebs_snapshot.data.kms_key_id, aws_ebs_snapshot_copy.data.kms_key_id, aws_instance.golden.root_block_device[0].kms_key_id,
  ] : arn == aws_kms_key.first.arn ? "first" : arn == aws_kms_key.second.arn ? "second" : arn]
}

output "found" {
  value = data.aws_ami.golden.id == aws_ami.golden.id
}
