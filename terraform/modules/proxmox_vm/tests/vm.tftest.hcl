# The VM as it is asked of Proxmox VE. The provider is mocked: only its schema is the real one's.
mock_provider "proxmox" {}

override_module {
  target = module.host_key
  outputs = {
    host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000"
    folder   = "tests"
    contact  = "true"
    id       = "keys-1"
  }
}

variables {
  name       = "gpu-1"
  user       = "deployer"
  public_key = "ssh-ed25519 AAAA nobody"
  network = {
    address = "192.0.2.30"
    prefix  = 24
    gateway = "192.0.2.1"
  }
  size = {
    cores      = 8
    memory_mib = 16384
    disk_gib   = 100
  }
  place = {
    node          = "pve"
    storage       = "local-lvm"
    image_storage = "local"
    vm_id         = 120
  }
  image = {
    url      = "https://images.example.com/20260914/debian-13-generic-amd64.qcow2"
    checksum = "0123"
  }
  gpu = { mapping = "gpu0" }
}

run "gpu_is_passed_through_as_its_driver_needs_it" {
  command = plan

  assert {
    condition     = proxmox_virtual_environment_vm.host.machine == "q35" && proxmox_virtual_environment_vm.host.bios == "ovmf"
    error_message = "A GPU is passed through as PCIe: q35 and OVMF."
  }
  assert {
    condition     = proxmox_virtual_environment_vm.host.hostpci[0].mapping == "gpu0" && proxmox_virtual_environment_vm.host.hostpci[0].pcie && proxmox_virtual_environment_vm.host.hostpci[0].id == null
    error_message = "By mapping: by id only the node's root may."
  }
  assert {
    condition     = proxmox_virtual_environment_vm.host.cpu[0].type == "host" && proxmox_virtual_environment_vm.host.memory[0].floating == 0
    error_message = "The card's memory is pinned: no ballooning."
  }
  assert {
    condition     = proxmox_virtual_environment_vm.host.efi_disk[0].type == "4m" && !proxmox_virtual_environment_vm.host.efi_disk[0].pre_enrolled_keys
    error_message = "Secure Boot would refuse the driver's module."
  }
  assert {
    condition     = length(proxmox_hardware_mapping_pci.gpu) == 0
    error_message = "A mapping that is only named is there already."
  }
}

run "no_plan_waits_for_an_agent" {
  command = plan

  assert {
    condition     = !proxmox_virtual_environment_vm.host.agent[0].enabled && proxmox_virtual_environment_vm.host.stop_on_destroy
    error_message = "An agent that does not run blocks plans for a quarter of an hour."
  }
}

run "image_is_pinned" {
  command = plan

  assert {
    condition     = proxmox_download_file.image.checksum == "0123" && proxmox_download_file.image.checksum_algorithm == "sha512" && proxmox_download_file.image.content_type == "import"
    error_message = "The image is compared with its checksum."
  }
  assert {
    condition     = proxmox_download_file.image.file_name == "ai-gpu-1-debian-13-generic-amd64.qcow2"
    error_message = "Each host's image is its own: the end of one is not the end of another's."
  }
}

run "mapping_is_made_of_a_path" {
  command = plan
  variables {
    gpu = { mapping = "gpu0", path = "0000:01:00", id = "10de:13f1" }
  }

  assert {
    condition     = tolist(proxmox_hardware_mapping_pci.gpu[0].map)[0].path == "0000:01:00" && tolist(proxmox_hardware_mapping_pci.gpu[0].map)[0].node == "pve"
    error_message = "The card with all its functions, on the VM's node."
  }
}

run "without_a_gpu" {
  command = plan
  variables {
    gpu = null
  }

  assert {
    condition     = length(proxmox_virtual_environment_vm.host.hostpci) == 0
    error_message = "No GPU, no passthrough: the host runs on its CPU."
  }
}

run "network_of_the_first_boot" {
  command = plan
  variables {
    network = {
      address      = "192.0.2.30"
      prefix       = 24
      gateway      = "192.0.2.1"
      ipv6_address = "2001:db8::30"
      vlan         = 20
    }
  }

  assert {
    condition     = join(" ", yamldecode(local.network_config).ethernets.primary.addresses) == "192.0.2.30/24 2001:db8::30/64"
    error_message = "Both addresses are static."
  }
  assert {
    condition     = yamldecode(local.network_config).ethernets.primary.routes[0].via == "192.0.2.1" && yamldecode(local.network_config).ethernets.primary.nameservers.addresses[0] == "192.0.2.1"
    error_message = "The router is told, and asked for names unless others are given."
  }
  assert {
    condition     = yamldecode(local.network_config).ethernets.primary.accept-ra && proxmox_virtual_environment_vm.host.network_device[0].vlan_id == 20
    error_message = "IPv6 routers announce themselves unless one is given."
  }
}
