# Makes ai_machine = "proxmox_vm" possible. On by default: links in terraform/ lead here, and without them no provider
# is downloaded. Back again: ln -s kinds/proxmox_vm/*.tf . && terraform init
provider "proxmox" {
  # A provider is configured also where nothing is made with it, and this one then asks for an endpoint and a token.
  endpoint  = coalesce(var.ai_proxmox_endpoint, "https://not-used.invalid/")
  api_token = try(trimspace(file(pathexpand(var.ai_proxmox_token_file))), "not@used!here=00000000-0000-0000-0000-000000000000")
  insecure  = var.ai_proxmox_insecure
}

module "proxmox_vm" {
  source   = "./modules/proxmox_vm"
  for_each = { for name, host in local.hosts : name => host if host.ai_machine == "proxmox_vm" }

  name         = each.key
  user         = each.value.ai_ssh_user
  public_key   = local.public_keys[each.key]
  ssh_key_file = each.value.ai_ssh_key_file
  wait_s       = each.value.ai_ssh_wait_s

  network = {
    address      = each.value.ai_address
    prefix       = each.value.ai_address_prefix
    gateway      = each.value.ai_gateway_address
    ipv6_address = each.value.ai_ipv6_address
    ipv6_prefix  = each.value.ai_ipv6_prefix
    ipv6_gateway = each.value.ai_ipv6_gateway_address
    name_servers = each.value.ai_name_servers
    bridge       = each.value.ai_proxmox_bridge
    vlan         = each.value.ai_proxmox_vlan
  }
  size = {
    cores      = each.value.ai_vm_cores
    memory_mib = each.value.ai_vm_memory_mib
    disk_gib   = each.value.ai_vm_disk_gib
  }
  place = {
    node          = each.value.ai_proxmox_node
    storage       = each.value.ai_proxmox_storage
    image_storage = each.value.ai_proxmox_image_storage
    vm_id         = each.value.ai_proxmox_vm_id
  }
  image = {
    url      = each.value.ai_image_url
    checksum = each.value.ai_image_checksum
  }
  gpu = each.value.ai_proxmox_pci_mapping == null ? null : {
    mapping = each.value.ai_proxmox_pci_mapping
    path    = each.value.ai_proxmox_pci_path
    id      = each.value.ai_proxmox_pci_id
  }
}
