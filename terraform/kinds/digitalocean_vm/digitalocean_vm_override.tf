# In place of what main.tf says where this kind is off.
locals {
  digitalocean_vm_is_on = true
  digitalocean_machines = module.digitalocean_vm
}
