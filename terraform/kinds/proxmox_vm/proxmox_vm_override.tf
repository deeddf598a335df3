# In place of what main.tf says where this kind is off.
locals {
  proxmox_vm_is_on = true
  proxmox_machines = module.proxmox_vm
}
