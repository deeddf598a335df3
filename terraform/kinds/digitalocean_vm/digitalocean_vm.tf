# Makes ai_machine = "digitalocean_vm" possible. Off by default; on: ln -s kinds/digitalocean_vm/*.tf . && terraform init
provider "digitalocean" {
  token = try(trimspace(file(pathexpand(var.ai_digitalocean_token_file))), null)
}

module "digitalocean_vm" {
  source   = "./modules/digitalocean_vm"
  for_each = { for name, host in local.hosts : name => host if host.ai_machine == "digitalocean_vm" }

  name         = each.key
  user         = each.value.ai_ssh_user
  public_key   = local.public_keys[each.key]
  ssh_key_file = each.value.ai_ssh_key_file
  wait_s       = each.value.ai_ssh_wait_s

  droplet = {
    region = each.value.ai_digitalocean_region
    size   = each.value.ai_digitalocean_size
    image  = each.value.ai_digitalocean_image
  }
}
