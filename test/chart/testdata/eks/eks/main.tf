# What k8s/eks takes of terraform-aws-modules/eks/aws 21.19.0.
variable "name" { type = string }
variable "kubernetes_version" { type = string }
variable "vpc_id" { type = string }
variable "subnet_ids" { type = list(string) }
variable "compute_config" {
  type = object({
    enabled    = optional(bool, false)
    node_pools = optional(list(string))
  })
}
variable "addons" { type = map(object({ most_recent = optional(bool, true) })) }
variable "endpoint_public_access" { type = bool }
variable "endpoint_public_access_cidrs" { type = list(string) }
variable "enable_cluster_creator_admin_permissions" { type = bool }

output "cluster_name" { value = var.name }
output "cluster_primary_security_group_id" { value = "sg-cluster" }
output "cluster_oidc_issuer_url" { value = "https://oidc.eks.test/id/1" }
