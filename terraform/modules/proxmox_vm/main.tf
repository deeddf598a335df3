# A VM on Proxmox VE with a static address, a pinned cloud image, and the GPU passed through.
#
# First boot is told by a seed image (NoCloud), which the API takes with a token alone: snippets and hostpci by id would
# ask for the node's root. The agent is off: waiting for one that does not run blocks every plan for minutes.
terraform {
  required_version = ">= 1.11"
  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = "0.106.0"
    }
  }
}

locals {
  network_config = templatefile("${path.module}/../../../bootstrap/ai/cloud-init/network-config.tftpl", {
    addresses = concat(
      ["${var.network.address}/${var.network.prefix}"],
      var.network.ipv6_address == null ? [] : ["${var.network.ipv6_address}/${var.network.ipv6_prefix}"],
    )
    gateway      = var.network.gateway
    ipv6_gateway = var.network.ipv6_gateway
    name_servers = length(var.network.name_servers) > 0 ? var.network.name_servers : [var.network.gateway]
  })
  # One image serves several VMs; a name of its own for each keeps one host's end from being another's.
  image_name = "ai-${var.name}-${basename(var.image.url)}"
}

# Asked first, while planning: a wrong token or address is said at once and not after a minute of attempts.
# tflint-ignore: terraform_unused_declarations
data "proxmox_version" "node" {
  lifecycle {
    postcondition {
      condition     = try(tonumber(self.release) >= 8.4, true)
      error_message = "Proxmox VE ${self.release} is too old: images are imported as files from 8.4 on. Update the node."
    }
  }
}

module "host_key" {
  source = "../host_key"

  name           = var.name
  user           = var.user
  public_key     = var.public_key
  network_config = local.network_config
}

resource "proxmox_download_file" "image" {
  content_type       = "import"
  datastore_id       = var.place.image_storage
  node_name          = var.place.node
  url                = var.image.url
  file_name          = local.image_name
  checksum           = var.image.checksum
  checksum_algorithm = "sha512"
  # The address is of one day: nobody need ask it for its size at every plan.
  overwrite           = false
  overwrite_unmanaged = false
}

resource "proxmox_virtual_environment_file" "seed" {
  content_type = "iso"
  datastore_id = var.place.image_storage
  node_name    = var.place.node

  source_file {
    path      = "${module.host_key.folder}/seed.iso"
    file_name = "ai-${var.name}-seed.iso"
  }

  lifecycle {
    # The file here is gone after the first contact.
    ignore_changes = [source_file]
    # Other keys are another seed.
    replace_triggered_by = [terraform_data.keys]
  }
}

# What a resource may be replaced by must be in its own module.
resource "terraform_data" "keys" {
  input = module.host_key.id
}

resource "proxmox_hardware_mapping_pci" "gpu" {
  count = try(var.gpu.path, null) == null ? 0 : 1

  name    = var.gpu.mapping
  comment = "ai-services: GPU of ${var.name}"
  map = [{
    node = var.place.node
    # Without function: the card with all of them, its audio too.
    path = var.gpu.path
    id   = var.gpu.id
  }]
}

resource "proxmox_virtual_environment_vm" "host" {
  name        = var.name
  description = "ai-services: ${var.network.address}; made by Terraform."
  tags        = ["ai-services"]
  node_name   = var.place.node
  vm_id       = var.place.vm_id

  machine       = "q35"
  bios          = "ovmf"
  scsi_hardware = "virtio-scsi-single"
  on_boot       = true
  # Without the agent nobody would hear it being asked to shut down.
  stop_on_destroy = true
  # Not from the seed: it is no system.
  boot_order = ["scsi0"]

  agent {
    enabled = false
  }

  cpu {
    cores = var.size.cores
    type  = "host"
  }

  # All of it from the start: a passed-through card needs its memory pinned.
  memory {
    dedicated = var.size.memory_mib
    floating  = 0
  }

  efi_disk {
    datastore_id = var.place.storage
    type         = "4m"
    # Secure Boot would refuse the driver's own kernel module.
    pre_enrolled_keys = false
  }

  disk {
    datastore_id = var.place.storage
    interface    = "scsi0"
    import_from  = proxmox_download_file.image.id
    size         = var.size.disk_gib
    discard      = "on"
    iothread     = true
  }

  cdrom {
    interface = "ide2"
    file_id   = proxmox_virtual_environment_file.seed.id
  }

  network_device {
    bridge  = var.network.bridge
    model   = "virtio"
    vlan_id = var.network.vlan
  }

  operating_system {
    type = "l26"
  }

  serial_device {
    device = "socket"
  }

  vga {
    type = "serial0"
  }

  dynamic "hostpci" {
    for_each = var.gpu == null ? [] : [var.gpu.mapping]
    content {
      device  = "hostpci0"
      mapping = hostpci.value
      pcie    = true
      rombar  = true
      # The console stays the serial one; the card computes.
      xvga = false
    }
  }

  lifecycle {
    # A newer image is for new machines.
    ignore_changes       = [disk[0].import_from]
    replace_triggered_by = [terraform_data.keys]
  }

  depends_on = [proxmox_hardware_mapping_pci.gpu]
}

# Between the VM and whoever uses it: only from here on it shows the key that the state knows.
resource "terraform_data" "contact" {
  input            = { id = proxmox_virtual_environment_vm.host.id }
  triggers_replace = [proxmox_virtual_environment_vm.host.id, module.host_key.id]

  provisioner "local-exec" {
    command = module.host_key.contact
    environment = {
      AI_FOLDER   = module.host_key.folder
      AI_ADDRESS  = var.network.address
      AI_USER     = var.user
      AI_KEY_FILE = var.ssh_key_file
      AI_WAIT_S   = var.wait_s
      AI_KEYS     = "module.proxmox_vm[\"${var.name}\"].module.host_key.terraform_data.keys"
    }
  }
}
