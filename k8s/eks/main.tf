# Creates everything that the chart needs in an AWS account. docs/eks.md is the tutorial,
# with costs. All modules are public, with pinned versions.

locals {
  # Services, and the names of their databases.
  services = {
    # generated from services/*/service.yaml: services
    user-service  = "user_service"
    order-service = "order_service"
    # generated: end
  }
  zones = [for letter in var.zones : "${var.region}${letter}"]
  # Sixteen subnets: four each for load balancers, pods and databases, four unused.
  subnets = { for i, kind in ["public", "private", "database"] : kind =>
  [for j, _ in local.zones : cidrsubnet(var.cidr, 4, 4 * i + j)] }
  registry = split("/user-service", module.images["user-service"].repository_url)[0]
}

module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "6.6.0"

  name             = var.name
  cidr             = var.cidr
  azs              = local.zones
  public_subnets   = local.subnets["public"]
  private_subnets  = local.subnets["private"]
  database_subnets = local.subnets["database"]

  enable_nat_gateway     = true
  single_nat_gateway     = !var.nat_gateway_per_zone
  one_nat_gateway_per_az = var.nat_gateway_per_zone

  create_database_subnet_group = false

  # Load balancers select subnets by these tags: public ones, and internal ones.
  public_subnet_tags  = { "kubernetes.io/role/elb" = "1" }
  private_subnet_tags = { "kubernetes.io/role/internal-elb" = "1" }
}

# In Auto Mode AWS runs nodes, volumes, load balancers, network policies, DNS and Pod
# Identity. Only the metrics server, which autoscalers need, is a separate add-on.
module "eks" {
  source  = "terraform-aws-modules/eks/aws"
  version = "21.19.0"

  name               = var.name
  kubernetes_version = var.kubernetes_version
  vpc_id             = module.vpc.vpc_id
  subnet_ids         = module.vpc.private_subnets

  compute_config = {
    enabled    = true
    node_pools = ["general-purpose", "system"]
  }
  addons = {
    metrics-server = {}
  }

  endpoint_public_access                   = true
  endpoint_public_access_cidrs             = var.admin_cidrs
  enable_cluster_creator_admin_permissions = true
}

# Only the cluster's nodes, and so its pods, can connect to the databases.
module "database_access" {
  source  = "terraform-aws-modules/security-group/aws"
  version = "5.3.1"

  name   = "${var.name}-database"
  vpc_id = module.vpc.vpc_id

  number_of_computed_ingress_with_source_security_group_id = 1
  computed_ingress_with_source_security_group_id = [{
    rule                     = "postgresql-tcp"
    source_security_group_id = module.eks.cluster_primary_security_group_id
  }]
}

# A server for each service, so that none can read another's data or slow it down. RDS
# creates, stores and rotates the passwords in Secrets Manager.
module "database" {
  source   = "terraform-aws-modules/rds/aws"
  version  = "7.2.0"
  for_each = local.services

  identifier     = "${var.name}-${each.key}"
  engine         = "postgres"
  engine_version = "18"
  family         = "postgres18"
  instance_class = var.database.class
  multi_az       = var.database.multi_az

  allocated_storage     = 20
  max_allocated_storage = 200

  db_name            = each.value
  username           = each.value
  port               = "5432"
  ca_cert_identifier = "rds-ca-rsa2048-g1"
  parameters         = [{ name = "rds.force_ssl", value = "1" }]

  manage_master_user_password                            = true
  manage_master_user_password_rotation                   = true
  master_user_password_rotate_immediately                = false
  master_user_password_rotation_automatically_after_days = var.database.rotate_days

  create_db_subnet_group = true
  subnet_ids             = module.vpc.database_subnets
  vpc_security_group_ids = [module.database_access.security_group_id]

  backup_retention_period = var.database.days_of_backups
  deletion_protection     = var.database.protected
  skip_final_snapshot     = !var.database.protected
}

module "images" {
  source   = "terraform-aws-modules/ecr/aws"
  version  = "3.2.0"
  for_each = local.services

  repository_name         = "${var.name}/${each.key}"
  create_lifecycle_policy = false # it could delete images in use
}

# The External Secrets Operator may read only these databases' passwords.
module "external_secrets" {
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"

  name = "${var.name}-external-secrets"

  attach_external_secrets_policy        = true
  external_secrets_secrets_manager_arns = [for database in module.database : database.db_instance_master_user_secret_arn]

  associations = {
    operator = {
      cluster_name    = module.eks.cluster_name
      namespace       = "external-secrets"
      service_account = "external-secrets"
    }
  }
}
