# In place of what main.tf says where this kind is off.
locals {
  cloudflare_record_is_on = true
  cloudflare_records      = module.cloudflare_record
}

# Here, for a root may say once what it requires: an override file adds to that.
terraform {
  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "5.22.0"
    }
  }
}
