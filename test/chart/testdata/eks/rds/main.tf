# What k8s/eks takes of terraform-aws-modules/rds/aws 7.2.0.
variable "identifier" { type = string }
variable "engine" { type = string }
variable "engine_version" { type = string }
variable "family" { type = string }
variable "instance_class" { type = string }
variable "multi_az" { type = bool }
variable "allocated_storage" { type = number }
variable "max_allocated_storage" { type = number }
variable "db_name" { type = string }
variable "username" { type = string }
variable "port" { type = string }
variable "ca_cert_identifier" { type = string }
variable "parameters" { type = list(object({ name = string, value = string })) }
variable "manage_master_user_password" { type = bool }
variable "manage_master_user_password_rotation" { type = bool }
variable "master_user_password_rotate_immediately" { type = bool }
variable "master_user_password_rotation_automatically_after_days" { type = number }
variable "create_db_subnet_group" { type = bool }
variable "subnet_ids" { type = list(string) }
variable "vpc_security_group_ids" { type = list(string) }
variable "backup_retention_period" { type = number }
variable "deletion_protection" { type = bool }
variable "skip_final_snapshot" { type = bool }

output "db_instance_address" { value = "${var.identifier}.rds.test" }
output "db_instance_master_user_secret_arn" { value = "arn:aws:secretsmanager:test:1:secret:rds!${var.identifier}" }
