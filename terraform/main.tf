# A host and its name: the machine is a module of its kind, the record one of its kind, and what is put upon the
# machine is the same deploy as by hand. Kinds that need a provider are switched on by their files (kinds/), which say
# here what they make; without them neither their providers nor their credentials are needed.

locals {
  machine_kinds = {
    existing_host   = true
    proxmox_vm      = local.proxmox_vm_is_on
    digitalocean_vm = local.digitalocean_vm_is_on
  }
  dns_kinds = {
    none              = true
    cloudflare_record = local.cloudflare_record_is_on
  }

  # Replaced by kinds/*/*_override.tf.
  proxmox_vm_is_on        = false
  digitalocean_vm_is_on   = false
  cloudflare_record_is_on = false
  proxmox_machines        = {}
  digitalocean_machines   = {}
  cloudflare_records      = {}

  # What is asked for and not switched on is said by the output's precondition, before anything is made.
  ready = { for name, host in local.hosts : name => host if local.machine_kinds[host.ai_machine] }
  off = distinct(flatten([
    for name, host in local.hosts : [
      local.machine_kinds[host.ai_machine] ? [] : ["ai_machine = ${host.ai_machine}"],
      local.dns_kinds[host.ai_dns] ? [] : ["ai_dns = ${host.ai_dns}"],
    ]
  ]))

  # Who may log in to a new machine.
  public_keys = {
    for name, host in local.hosts : name => try(file(coalesce(host.ai_ssh_public_key_file, "${host.ai_ssh_key_file}.pub")), "")
  }

  machines = merge(module.existing_host, local.proxmox_machines, local.digitalocean_machines)
}

module "existing_host" {
  source   = "./modules/existing_host"
  for_each = { for name, host in local.hosts : name => host if host.ai_machine == "existing_host" }

  name          = each.key
  address       = each.value.ai_address
  user          = each.value.ai_ssh_user
  host_key      = each.value.ai_host_key
  ssh_key_file  = each.value.ai_ssh_key_file
  settings_json = jsonencode(local.settings[each.key])
}

module "deployment" {
  source   = "./modules/deployment"
  for_each = local.ready

  name          = each.key
  machine       = local.machines[each.key].machine
  machine_id    = local.machines[each.key].id
  record        = try(local.cloudflare_records[each.key].record, null)
  ssh_key_file  = each.value.ai_ssh_key_file
  wait_s        = each.value.ai_ssh_wait_s
  settings_json = jsonencode(local.settings[each.key])
  ghcr_token    = var.ai_ghcr_token
  # A host that was there before stays there; only its data can go.
  protected = var.ai_protect_data && (each.value.ai_machine != "existing_host" || !each.value.ai_keep_data)
}
