# A group with everything that changes its size, and what is told of it: policies of the four types,
# a schedule, notifications, tags of their own, traffic sources, metrics.

variable "instances" {
  type    = number
  default = 1
}

variable "later" {
  description = "Whether the configuration is the changed one."
  type        = bool
  default     = false
}

locals {
  target = "arn:aws:elasticloadbalancing:${var.region}:${var.account}:targetgroup/web/0123456789abcdef"
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true

  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_launch_template" "web" {
  name          = "scaling"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.micro"
}

resource "aws_autoscaling_group" "web" {
  name               = "scaling"
  min_size           = 0
  max_size           = 5
  desired_capacity   = var.instances
  availability_zones = ["${var.region}a", "${var.region}b"]
  enabled_metrics    = var.later ? ["GroupMinSize"] : ["GroupMinSize", "GroupMaxSize"]

  launch_template {
    id      = aws_launch_template.web.id
    version = "$Latest"
  }

  tag {
    key                 = "team"
    value               = var.later ? "blue" : "red"
    propagate_at_launch = true
  }

  dynamic "tag" {
    for_each = var.later ? [] : ["once"]
    content {
      key                 = tag.value
      value               = "x"
      propagate_at_launch = false
    }
  }

}

# Another group, whose tags and traffic sources are resources of their own. The provider asks for the health of
# target groups whenever it changes the size of a group that has some, so this one is not changed.
resource "aws_autoscaling_group" "tagged" {
  name               = "tagged"
  min_size           = 0
  max_size           = 1
  availability_zones = ["${var.region}a"]

  launch_template {
    id = aws_launch_template.web.id
  }

  lifecycle {
    ignore_changes = [tag, traffic_source, target_group_arns]
  }
}

resource "aws_autoscaling_group_tag" "own" {
  autoscaling_group_name = aws_autoscaling_group.tagged.name

  tag {
    key                 = "own"
    value               = var.later ? "second" : "first"
    propagate_at_launch = false
  }
}

resource "aws_autoscaling_policy" "simple" {
  name                     = "simple"
  autoscaling_group_name   = aws_autoscaling_group.web.name
  adjustment_type          = "PercentChangeInCapacity"
  min_adjustment_magnitude = 1
  scaling_adjustment       = var.later ? 20 : 10
  cooldown                 = 300
}

resource "aws_autoscaling_policy" "step" {
  name                      = "step"
  autoscaling_group_name    = aws_autoscaling_group.web.name
  policy_type               = "StepScaling"
  adjustment_type           = "ChangeInCapacity"
  estimated_instance_warmup = 60
  metric_aggregation_type   = "Average"

  step_adjustment {
    metric_interval_upper_bound = "0"
    scaling_adjustment          = -1
  }
  step_adjustment {
    metric_interval_lower_bound = "0"
    scaling_adjustment          = var.later ? 2 : 1
  }
}

resource "aws_autoscaling_policy" "tracking" {
  name                   = "tracking"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "TargetTrackingScaling"
  enabled                = !var.later

  target_tracking_configuration {
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
    target_value = 40.5
  }
}

resource "aws_autoscaling_policy" "own_metric" {
  name                   = "own-metric"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    customized_metric_specification {
      metric_dimension {
        name  = "queue"
        value = "jobs"
      }
      metric_name = "Backlog"
      namespace   = "Shop"
      statistic   = "Average"
    }
    target_value     = 100
    disable_scale_in = true
  }
}

resource "aws_autoscaling_policy" "predictive" {
  name                   = "predictive"
  autoscaling_group_name = aws_autoscaling_group.web.name
  policy_type            = "PredictiveScaling"

  predictive_scaling_configuration {
    mode                   = "ForecastOnly"
    scheduling_buffer_time = 10
    metric_specification {
      target_value = var.later ? 33 : 32
      predefined_metric_pair_specification {
        predefined_metric_type = "ASGCPUUtilization"
      }
    }
  }
}

resource "aws_autoscaling_schedule" "morning" {
  scheduled_action_name  = "morning"
  autoscaling_group_name = aws_autoscaling_group.web.name
  recurrence             = "0 8 * * MON-FRI"
  time_zone              = "Europe/Berlin"
  min_size               = 0
  max_size               = var.later ? 4 : 5
  desired_capacity       = -1
}

resource "aws_autoscaling_schedule" "once" {
  scheduled_action_name  = "once"
  autoscaling_group_name = aws_autoscaling_group.web.name
  start_time             = "2036-12-11T18:00:00Z"
  end_time               = "2036-12-12T06:00:00Z"
  min_size               = 0
  max_size               = 1
  desired_capacity       = 0
}

resource "aws_autoscaling_notification" "events" {
  group_names   = [aws_autoscaling_group.web.name]
  topic_arn     = "arn:aws:sns:${var.region}:${var.account}:events"
  notifications = var.later ? ["autoscaling:EC2_INSTANCE_LAUNCH"] : ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"]
}

resource "aws_autoscaling_traffic_source_attachment" "web" {
  autoscaling_group_name = aws_autoscaling_group.tagged.id

  traffic_source {
    identifier = local.target
    type       = "elbv2"
  }
}

output "alarmed" {
  value = aws_autoscaling_policy.tracking.enabled
}
