variable "name" {
  description = "Of the cluster, and what the names of all else begin with"
  type        = string
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 31 at most: databases and repositories are named so."
  }
}

variable "region" {
  description = "Where all of it is"
  type        = string
  default     = "eu-central-1"
}

variable "zones" {
  description = "The region's zones to use, by their letters; two at least"
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4
    error_message = "Two to four: a database and a load balancer need two, and there is room for four."
  }
}

variable "cidr" {
  description = "The network's addresses, a /16"
  type        = string
  default     = "10.0.0.0/16"
}

variable "kubernetes_version" {
  description = "The one that the chart's tests run"
  type        = string
  default     = "1.34"
}

variable "admin_cidrs" {
  description = "Who reaches the Kubernetes API from outside; whoever does needs an IAM identity, too"
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "namespace" {
  description = "Where the release is installed"
  type        = string
  default     = "shop"
}

variable "database" {
  description = "Each service's database: how large, a standby in another zone, how often its password changes, which no pod notices"
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
  description = "So that a zone that is lost takes no other's way out along"
  type        = bool
  default     = false
}

variable "public" {
  description = "The host under which the APIs answer, its certificate in ACM, and who issues its users' tokens. Null: nothing leads in from outside"
  type = object({
    host            = string
    certificate_arn = string
    issuer          = string
  })
  default = null
}
