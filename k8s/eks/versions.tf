terraform {
  required_version = ">= 1.11.1"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.28"
    }
  }

  # The state is a local file; for a team, store it in a bucket. It contains no passwords.
  # backend "s3" {
  #   bucket       = "acme-tofu"
  #   key          = "shop.tfstate"
  #   region       = "eu-central-1"
  #   use_lockfile = true
  # }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}
