locals {
  told = {
    name      = var.name
    namespace = var.namespace
    region    = var.region
    registry  = local.registry
    public    = var.public
    subnets   = local.subnets
    issuer    = module.eks.cluster_oidc_issuer_url
    databases = { for service, name in local.services : service => {
      name    = name
      address = module.database[service].db_instance_address
      secret  = module.database[service].db_instance_master_user_secret_arn
    } }
  }
}

output "registry" {
  description = "Registry for the images: make images REGISTRY=…"
  value       = local.registry
}

output "values" {
  description = "The chart's values: make eks-values"
  value       = templatefile("${path.module}/values.yaml.tftpl", local.told)
}

output "objects" {
  description = "Objects that the cluster needs before the chart: make eks-objects"
  value       = templatefile("${path.module}/objects.yaml.tftpl", local.told)
}
