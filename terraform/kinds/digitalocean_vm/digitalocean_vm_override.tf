# In place of what main.tf says where this kind is off.
locals {
  digitalocean_vm_is_on = true
  digitalocean_machines = module.digitalocean_vm
}

# Here, for a root may say once what it requires: an override file adds to that.
terraform {
  required_providers {
    digitalocean = {
      source  = "digitalocean/digitalocean"
      version = "~> 2.60"
    }
  }
}
