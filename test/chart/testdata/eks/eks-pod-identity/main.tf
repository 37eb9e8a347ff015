# What k8s/eks takes of terraform-aws-modules/eks-pod-identity/aws 2.8.1.
variable "name" { type = string }
variable "attach_external_secrets_policy" { type = bool }
variable "external_secrets_secrets_manager_arns" { type = list(string) }
variable "associations" {
  type = map(object({
    cluster_name    = optional(string)
    namespace       = optional(string)
    service_account = optional(string)
  }))
}
