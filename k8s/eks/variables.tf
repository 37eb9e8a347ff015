variable "name" {
  description = "Name of the cluster, and prefix of all other names"
  type        = string
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "Use at most 31 lower-case letters, digits and hyphens, because databases and repositories get this name."
  }
}

variable "region" {
  description = "AWS region"
  type        = string
  default     = "eu-central-1"
}

variable "zones" {
  description = "Letters of the region's availability zones to use, two to four"
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4
    error_message = "Use two to four zones: databases and load balancers need two, and there are subnets for four."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, a /16"
  type        = string
  default     = "10.0.0.0/16"
}

variable "kubernetes_version" {
  description = "Kubernetes version; the default is the one that the chart is tested with"
  type        = string
  default     = "1.34"
}

variable "admin_cidrs" {
  description = "Networks that may reach the Kubernetes API from outside; clients also need an IAM identity"
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "namespace" {
  description = "Namespace of the release"
  type        = string
  default     = "shop"
}

variable "database" {
  description = "Each service's database: instance class, standby in another zone, days between password rotations (without a restart), deletion protection, days of backups"
  type = object({
    class           = optional(string, "db.t4g.small")
    multi_az        = optional(bool, false)
    rotate_days     = optional(number, 30)
    protected       = optional(bool, true)
    days_of_backups = optional(number, 7)
  })
  default = {}
}

variable "nat_gateway_per_zone" {
  description = "One NAT gateway per zone, so that losing a zone doesn't cut off the others"
  type        = bool
  default     = false
}

variable "public" {
  description = "Host of the APIs, its certificate in ACM, and the issuer of users' tokens. Null: the APIs are not exposed"
  type = object({
    host            = string
    certificate_arn = string
    issuer          = string
  })
  default = null
}
