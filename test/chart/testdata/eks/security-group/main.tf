# What k8s/eks takes of terraform-aws-modules/security-group/aws 5.3.1.
variable "name" { type = string }
variable "vpc_id" { type = string }
variable "number_of_computed_ingress_with_source_security_group_id" { type = number }
variable "computed_ingress_with_source_security_group_id" { type = list(map(string)) }

output "security_group_id" { value = "sg-database" }
