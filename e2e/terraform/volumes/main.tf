# Volumes that are modified, and an account's settings for volumes, snapshots and images.

variable "size" {
  type    = number
  default = 10
}

variable "type" {
  type    = string
  default = "gp2"
}

resource "aws_kms_key" "volumes" {
  deletion_window_in_days = 7
}

resource "aws_ebs_encryption_by_default" "on" {
  enabled = true
}

resource "aws_ebs_default_kms_key" "own" {
  key_arn = aws_kms_key.volumes.arn
}

# Encrypted under the account's key, without a word of it.
resource "aws_ebs_volume" "data" {
  availability_zone = "${var.region}a"
  size              = var.size
  type              = var.type
  iops              = var.type == "gp3" ? 3000 : null # otherwise the provider keeps the 100 of gp2

  depends_on = [aws_ebs_encryption_by_default.on, aws_ebs_default_kms_key.own]
}

resource "aws_ebs_volume" "shared" {
  availability_zone    = "${var.region}a"
  size                 = 10
  type                 = "io2"
  iops                 = 500
  multi_attach_enabled = true

  depends_on = [aws_ebs_encryption_by_default.on, aws_ebs_default_kms_key.own]
}

resource "aws_ebs_snapshot" "data" {
  volume_id = aws_ebs_volume.data.id
}

resource "aws_ebs_snapshot_copy" "data" {
  source_snapshot_id = aws_ebs_snapshot.data.id
  source_region      = var.region
  encrypted          = true
  kms_key_id         = aws_kms_key.volumes.arn # the provider compares it
}

resource "aws_ebs_fast_snapshot_restore" "data" {
  availability_zone = "${var.region}a"
  snapshot_id       = aws_ebs_snapshot.data.id
}

resource "aws_ebs_snapshot_block_public_access" "all" {
  state = "block-all-sharing"
}

resource "aws_ec2_image_block_public_access" "new" {
  state = "block-new-sharing"
}

output "volume" {
  value = {
    key  = aws_ebs_volume.data.kms_key_id == aws_kms_key.volumes.arn
    size = aws_ebs_volume.data.size
    type = aws_ebs_volume.data.type
    iops = aws_ebs_volume.data.iops
  }
}
