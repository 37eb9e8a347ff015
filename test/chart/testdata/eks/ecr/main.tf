# What k8s/eks takes of terraform-aws-modules/ecr/aws 3.2.0.
variable "repository_name" { type = string }
variable "create_lifecycle_policy" { type = bool }

output "repository_url" { value = "1.dkr.ecr.test/${var.repository_name}" }
