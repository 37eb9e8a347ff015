# What k8s/eks takes of terraform-aws-modules/vpc/aws 6.6.0: its variables with their types,
# its outputs with values as they are.
variable "name" { type = string }
variable "cidr" { type = string }
variable "azs" { type = list(string) }
variable "public_subnets" { type = list(string) }
variable "private_subnets" { type = list(string) }
variable "database_subnets" { type = list(string) }
variable "enable_nat_gateway" { type = bool }
variable "single_nat_gateway" { type = bool }
variable "one_nat_gateway_per_az" { type = bool }
variable "create_database_subnet_group" { type = bool }
variable "public_subnet_tags" { type = map(string) }
variable "private_subnet_tags" { type = map(string) }

output "vpc_id" { value = "vpc-1" }
output "private_subnets" { value = [for i, _ in var.private_subnets : "subnet-private-${i}"] }
output "database_subnets" { value = [for i, _ in var.database_subnets : "subnet-database-${i}"] }
