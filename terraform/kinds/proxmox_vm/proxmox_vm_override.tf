# In place of what main.tf says where this kind is off.
locals {
  proxmox_vm_is_on = true
  proxmox_machines = module.proxmox_vm
}

# Here, for a root may say once what it requires: an override file adds to that.
terraform {
  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = "0.106.0"
    }
  }
}
