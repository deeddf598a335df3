# Made by `python -m ai_services.host.documents` from src/ai_services/host/machine_settings.py; change that instead.

# --- Machine

variable "ai_machine" {
  description = "Where the machine comes from: a new VM on Proxmox VE, a host that is already there, or a droplet with a GPU."
  type        = string
  default     = "proxmox_vm"
  nullable    = false

  # form
  validation {
    condition     = contains(["proxmox_vm", "existing_host", "digitalocean_vm"], var.ai_machine)
    error_message = "ai_machine: give proxmox_vm, existing_host or digitalocean_vm."
  }
}

variable "ai_dns" {
  description = "Who makes ai_domain point to the machine: a record at Cloudflare, or none: you do."
  type        = string
  default     = "cloudflare_record"
  nullable    = false

  # form
  validation {
    condition     = contains(["cloudflare_record", "none"], var.ai_dns)
    error_message = "ai_dns: give cloudflare_record or none."
  }
}

variable "ai_vm_cores" {
  description = "Processor cores of a VM on Proxmox VE."
  type        = number
  default     = 8
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_vm_cores) == var.ai_vm_cores && var.ai_vm_cores >= 1 && var.ai_vm_cores <= 512
    error_message = "ai_vm_cores: give 1 to 512 cores."
  }
}

variable "ai_vm_memory_mib" {
  description = "Memory of a VM on Proxmox VE."
  type        = number
  default     = 16384
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_vm_memory_mib) == var.ai_vm_memory_mib && var.ai_vm_memory_mib >= 4096 && var.ai_vm_memory_mib <= 4194304
    error_message = "ai_vm_memory_mib: give 4096 to 4194304 MiB."
  }
}

variable "ai_vm_disk_gib" {
  description = "Disk of a VM on Proxmox VE; it may grow later and never shrink."
  type        = number
  default     = 100
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_vm_disk_gib) == var.ai_vm_disk_gib && var.ai_vm_disk_gib >= 32 && var.ai_vm_disk_gib <= 65536
    error_message = "ai_vm_disk_gib: give 32 to 65536 GiB."
  }
}

variable "ai_protect_data" {
  description = "Whether destroying or replacing a machine that bears data is refused; false lifts it for this run."
  type        = bool
  default     = true
  nullable    = false
}

# --- Network

variable "ai_address" {
  description = "Address of the machine: the one it has (existing_host), or the static one it gets (proxmox_vm). Needed unless ai_machine is digitalocean_vm."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_address == null ? true : strcontains(var.ai_address, ":") ? can(cidrhost("${var.ai_address}/128", 0)) : can(cidrhost("${var.ai_address}/32", 0))
    error_message = "ai_address: give an IP address, as 192.168.20.30 or 2001:db8::30."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) == "digitalocean_vm" || (host.ai_address == null ? var.ai_address : host.ai_address) != null])
    error_message = "ai_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) == "digitalocean_vm" || (host.ai_address == null ? var.ai_address : host.ai_address) != null)])}): an existing host is reached there, and a VM on Proxmox VE gets it as its static address. Give an IP address, as 192.168.20.30."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || (host.ai_address == null ? var.ai_address : host.ai_address) == null])
    error_message = "ai_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || (host.ai_address == null ? var.ai_address : host.ai_address) == null)])}): DigitalOcean chooses the address of a droplet. Leave it out."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_address == null ? var.ai_address : host.ai_address)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_address == null ? var.ai_address : host.ai_address)])))
    error_message = "ai_address: two hosts have the same address. Give each host in ai_hosts an ai_address of its own."
  }
}

variable "ai_address_prefix" {
  description = "Length of the network's prefix at ai_address, for a VM on Proxmox VE."
  type        = number
  default     = 24
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_address_prefix) == var.ai_address_prefix && var.ai_address_prefix >= 1 && var.ai_address_prefix <= 128
    error_message = "ai_address_prefix: give 1 to 128 bits."
  }

  # too_long
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains((host.ai_address == null ? var.ai_address : host.ai_address), ":") || (host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix) <= 32])
    error_message = "ai_address_prefix (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains((host.ai_address == null ? var.ai_address : host.ai_address), ":") || (host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix) <= 32)])}): a prefix of an IPv4 network has at most 32 bits. Give 1 to 32, as 24."
  }
}

variable "ai_gateway_address" {
  description = "Router of that network, of the same family as ai_address. Needed if ai_machine is proxmox_vm."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_gateway_address == null ? true : strcontains(var.ai_gateway_address, ":") ? can(cidrhost("${var.ai_gateway_address}/128", 0)) : can(cidrhost("${var.ai_gateway_address}/32", 0))
    error_message = "ai_gateway_address: give an IP address, as 192.168.20.30 or 2001:db8::30."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) != null])
    error_message = "ai_gateway_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) != null)])}): a VM with a static address must know its router. Give an IP address, as 192.168.20.1."
  }

  # other_family
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) == null || (host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains((host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address), ":") == strcontains((host.ai_address == null ? var.ai_address : host.ai_address), ":")])
    error_message = "ai_gateway_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) == null || (host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains((host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address), ":") == strcontains((host.ai_address == null ? var.ai_address : host.ai_address), ":"))])}): it is of another family than ai_address. Give both as IPv4, or both as IPv6."
  }

  # elsewhere
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) == null || (host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains("${(host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address)}${(host.ai_address == null ? var.ai_address : host.ai_address)}", ":") || (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) != (host.ai_address == null ? var.ai_address : host.ai_address) && try(cidrhost("${(host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address)}/${(host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix)}", 0) == cidrhost("${(host.ai_address == null ? var.ai_address : host.ai_address)}/${(host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix)}", 0), true)])
    error_message = "ai_gateway_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) == null || (host.ai_address == null ? var.ai_address : host.ai_address) == null ? true : strcontains("${(host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address)}${(host.ai_address == null ? var.ai_address : host.ai_address)}", ":") || (host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address) != (host.ai_address == null ? var.ai_address : host.ai_address) && try(cidrhost("${(host.ai_gateway_address == null ? var.ai_gateway_address : host.ai_gateway_address)}/${(host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix)}", 0) == cidrhost("${(host.ai_address == null ? var.ai_address : host.ai_address)}/${(host.ai_address_prefix == null ? var.ai_address_prefix : host.ai_address_prefix)}", 0), true))])}): it is not another address in the network of ai_address and ai_address_prefix. Give the router's address there, as 192.168.20.1 for 192.168.20.30 with 24 bits."
  }
}

variable "ai_ipv6_address" {
  description = "A second address, for an AAAA record beside the A record."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_ipv6_address == null ? true : strcontains(var.ai_ipv6_address, ":") && can(cidrhost("${var.ai_ipv6_address}/128", 0))
    error_message = "ai_ipv6_address: give an IPv6 address, as 2001:db8::30."
  }

  # twice
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) == null ? true : !strcontains(coalesce((host.ai_address == null ? var.ai_address : host.ai_address), "-"), ":")])
    error_message = "ai_ipv6_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) == null ? true : !strcontains(coalesce((host.ai_address == null ? var.ai_address : host.ai_address), "-"), ":"))])}): ai_address is an IPv6 address already. Leave it out."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) == null])
    error_message = "ai_ipv6_address (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) == null)])}): DigitalOcean chooses the addresses of a droplet. Leave it out."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address)])))
    error_message = "ai_ipv6_address: two hosts have the same address. Give each host in ai_hosts an ai_ipv6_address of its own."
  }
}

variable "ai_ipv6_prefix" {
  description = "Length of the network's prefix at ai_ipv6_address."
  type        = number
  default     = 64
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_ipv6_prefix) == var.ai_ipv6_prefix && var.ai_ipv6_prefix >= 1 && var.ai_ipv6_prefix <= 128
    error_message = "ai_ipv6_prefix: give 1 to 128 bits."
  }
}

variable "ai_ipv6_gateway_address" {
  description = "Router for ai_ipv6_address; none: routers announce themselves."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_ipv6_gateway_address == null ? true : strcontains(var.ai_ipv6_gateway_address, ":") && can(cidrhost("${var.ai_ipv6_gateway_address}/128", 0))
    error_message = "ai_ipv6_gateway_address: give an IPv6 address, as 2001:db8::30."
  }
}

variable "ai_name_servers" {
  description = "DNS servers that a VM on Proxmox VE asks; empty: ai_gateway_address."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_name_servers : strcontains(each, ":") ? can(cidrhost("${each}/128", 0)) : can(cidrhost("${each}/32", 0))])
    error_message = "ai_name_servers: give a list; each: an IP address, as 192.168.20.30 or 2001:db8::30."
  }
}

# --- Login

variable "ai_ssh_user" {
  description = "User who logs in to deploy; a new VM gets it, with sudo."
  type        = string
  default     = "deployer"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z_][a-z0-9_-]{0,31})$", var.ai_ssh_user))
    error_message = "ai_ssh_user: give a user name, as deployer."
  }
}

variable "ai_ssh_key_file" {
  description = "Private key to log in with; none: what ssh finds by itself (agent, ~/.ssh/config)."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_ssh_key_file == null ? true : try(fileexists(pathexpand(var.ai_ssh_key_file)) && strcontains(file(pathexpand(var.ai_ssh_key_file)), "PRIVATE KEY"), false)
    error_message = "ai_ssh_key_file: give the path of a file on this machine with an SSH private key."
  }
}

variable "ai_ssh_public_key_file" {
  description = "Public key that may log in to a new VM; none: ai_ssh_key_file with .pub. Needed for a new VM, unless ai_ssh_key_file has a .pub beside it."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_ssh_public_key_file == null ? true : try(fileexists(pathexpand(var.ai_ssh_public_key_file)) && length(trimspace(file(pathexpand(var.ai_ssh_public_key_file)))) > 0, false)
    error_message = "ai_ssh_public_key_file: give the path of a file on this machine with an SSH public key."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) == "existing_host" || (host.ai_ssh_public_key_file == null ? var.ai_ssh_public_key_file : host.ai_ssh_public_key_file) != null || try(fileexists(pathexpand("${(host.ai_ssh_key_file == null ? var.ai_ssh_key_file : host.ai_ssh_key_file)}.pub")), false)])
    error_message = "ai_ssh_public_key_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) == "existing_host" || (host.ai_ssh_public_key_file == null ? var.ai_ssh_public_key_file : host.ai_ssh_public_key_file) != null || try(fileexists(pathexpand("${(host.ai_ssh_key_file == null ? var.ai_ssh_key_file : host.ai_ssh_key_file)}.pub")), false))])}): a new VM lets in the owner of this key, and ai_ssh_key_file has no .pub beside it. Give the path of a public key, as ~/.ssh/id_ed25519.pub."
  }
}

variable "ai_host_key" {
  description = "SSH key that the existing host must show; a new VM's is made and pinned. Needed if ai_machine is existing_host."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_host_key == null ? true : can(regex("^(?:(?:(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,900}={0,2}(?: [^\\n]*)?|SHA256:[A-Za-z0-9+/]{43}=?))$", var.ai_host_key))
    error_message = "ai_host_key: give a host's public key or its fingerprint, as ssh-ed25519 AAAA… (/etc/ssh/ssh_host_ed25519_key.pub)."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "existing_host" || (host.ai_host_key == null ? var.ai_host_key : host.ai_host_key) != null])
    error_message = "ai_host_key (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "existing_host" || (host.ai_host_key == null ? var.ai_host_key : host.ai_host_key) != null)])}): no host key is taken on trust. Give what `cat /etc/ssh/ssh_host_ed25519_key.pub` prints on the host itself."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) == "existing_host" || (host.ai_host_key == null ? var.ai_host_key : host.ai_host_key) == null])
    error_message = "ai_host_key (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) == "existing_host" || (host.ai_host_key == null ? var.ai_host_key : host.ai_host_key) == null)])}): a new VM's key is made and pinned by this run. Leave it out."
  }
}

variable "ai_ssh_wait_s" {
  description = "How long to wait for a machine to answer on SSH with the expected key."
  type        = number
  default     = 600
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_ssh_wait_s) == var.ai_ssh_wait_s && var.ai_ssh_wait_s >= 0 && var.ai_ssh_wait_s <= 7200
    error_message = "ai_ssh_wait_s: give 0 to 7200 seconds."
  }
}

# --- Proxmox VE

variable "ai_proxmox_endpoint" {
  description = "Address of the Proxmox VE API. Needed if ai_machine is proxmox_vm."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_endpoint == null ? true : can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", var.ai_proxmox_endpoint))
    error_message = "ai_proxmox_endpoint: give an address that begins with https://."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || var.ai_proxmox_endpoint != null])
    error_message = "ai_proxmox_endpoint (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || var.ai_proxmox_endpoint != null)])}): ai_machine is \"proxmox_vm\". Give the address of the API, as https://pve.example.com:8006/."
  }
}

variable "ai_proxmox_token_file" {
  description = "File with the API token. Needed if ai_machine is proxmox_vm."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_token_file == null ? true : try(fileexists(pathexpand(var.ai_proxmox_token_file)) && strcontains(file(pathexpand(var.ai_proxmox_token_file)), "!"), false)
    error_message = "ai_proxmox_token_file: give the path of a file on this machine with a Proxmox VE API token (USER@REALM!NAME=SECRET)."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || var.ai_proxmox_token_file != null])
    error_message = "ai_proxmox_token_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "proxmox_vm" || var.ai_proxmox_token_file != null)])}): ai_machine is \"proxmox_vm\". Give the path of a file with a token, as deploy@pve!terraform=SECRET."
  }
}

variable "ai_proxmox_insecure" {
  description = "Whether a certificate of the API that nobody vouches for is accepted."
  type        = bool
  default     = false
  nullable    = false
}

variable "ai_proxmox_node" {
  description = "Node of the cluster on which the VM runs."
  type        = string
  default     = "pve"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$", var.ai_proxmox_node))
    error_message = "ai_proxmox_node: give a node's name, as pve."
  }
}

variable "ai_proxmox_vm_id" {
  description = "Number of the VM; none: the next free one."
  type        = number
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_vm_id == null ? true : floor(var.ai_proxmox_vm_id) == var.ai_proxmox_vm_id && var.ai_proxmox_vm_id >= 100 && var.ai_proxmox_vm_id <= 999999999
    error_message = "ai_proxmox_vm_id: give 100 to 999999999."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_proxmox_vm_id == null ? var.ai_proxmox_vm_id : host.ai_proxmox_vm_id)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_proxmox_vm_id == null ? var.ai_proxmox_vm_id : host.ai_proxmox_vm_id)])))
    error_message = "ai_proxmox_vm_id: two VMs have the same number. Give each host in ai_hosts a ai_proxmox_vm_id of its own."
  }
}

variable "ai_proxmox_storage" {
  description = "Storage of the VM's disk."
  type        = string
  default     = "local-lvm"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", var.ai_proxmox_storage))
    error_message = "ai_proxmox_storage: give a storage's name, as local-lvm."
  }
}

variable "ai_proxmox_image_storage" {
  description = "Storage of the cloud image and of the first boot's settings; content import and iso."
  type        = string
  default     = "local"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", var.ai_proxmox_image_storage))
    error_message = "ai_proxmox_image_storage: give a storage's name, as local."
  }
}

variable "ai_proxmox_bridge" {
  description = "Bridge that the VM's network card is on."
  type        = string
  default     = "vmbr0"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z][A-Za-z0-9_.-]{0,14})$", var.ai_proxmox_bridge))
    error_message = "ai_proxmox_bridge: give a bridge's name, as vmbr0."
  }
}

variable "ai_proxmox_vlan" {
  description = "VLAN of that card; none: untagged."
  type        = number
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_vlan == null ? true : floor(var.ai_proxmox_vlan) == var.ai_proxmox_vlan && var.ai_proxmox_vlan >= 1 && var.ai_proxmox_vlan <= 4094
    error_message = "ai_proxmox_vlan: give 1 to 4094."
  }
}

variable "ai_proxmox_pci_mapping" {
  description = "Hardware mapping (Datacenter, Resource Mappings) of the GPU that is passed through; none: no GPU."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_pci_mapping == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9_-]{1,99})$", var.ai_proxmox_pci_mapping))
    error_message = "ai_proxmox_pci_mapping: give a hardware mapping's name, as gpu0."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path) == null || (host.ai_proxmox_pci_mapping == null ? var.ai_proxmox_pci_mapping : host.ai_proxmox_pci_mapping) != null])
    error_message = "ai_proxmox_pci_mapping (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path) == null || (host.ai_proxmox_pci_mapping == null ? var.ai_proxmox_pci_mapping : host.ai_proxmox_pci_mapping) != null)])}): ai_proxmox_pci_path is given, and the mapping that is made of it needs a name. Give a name, as gpu0."
  }
}

variable "ai_proxmox_pci_path" {
  description = "PCI address of the GPU, to have that mapping made; none: the mapping is there already."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_pci_path == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})$", var.ai_proxmox_pci_path))
    error_message = "ai_proxmox_pci_path: give a PCI address without function, as 0000:01:00."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path)])))
    error_message = "ai_proxmox_pci_path: two hosts have the same card. Give each host in ai_hosts a ai_proxmox_pci_path of its own."
  }
}

variable "ai_proxmox_pci_id" {
  description = "PCI id (vendor:device, as lspci -nn prints it) of the card at ai_proxmox_pci_path. Needed with ai_proxmox_pci_path."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_proxmox_pci_id == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{4})$", var.ai_proxmox_pci_id))
    error_message = "ai_proxmox_pci_id: give a PCI id, as 10de:13f1."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : ((host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path) == null) == ((host.ai_proxmox_pci_id == null ? var.ai_proxmox_pci_id : host.ai_proxmox_pci_id) == null)])
    error_message = "ai_proxmox_pci_id (host ${join(", ", [for name, host in var.ai_hosts : name if !(((host.ai_proxmox_pci_path == null ? var.ai_proxmox_pci_path : host.ai_proxmox_pci_path) == null) == ((host.ai_proxmox_pci_id == null ? var.ai_proxmox_pci_id : host.ai_proxmox_pci_id) == null))])}): a mapping is made of a card's PCI address and its id. Give ai_proxmox_pci_path and ai_proxmox_pci_id both."
  }
}

variable "ai_image_url" {
  description = "Cloud image of a VM on Proxmox VE; an address whose content never changes."
  type        = string
  default     = "https://cloud.debian.org/images/cloud/trixie/20260914-2601/debian-13-generic-amd64-20260914-2601.qcow2"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", var.ai_image_url))
    error_message = "ai_image_url: give an address that begins with https://."
  }
}

variable "ai_image_checksum" {
  description = "SHA-512 checksum of that image."
  type        = string
  default     = "a733e7d49442a03e70d03e4eb5aaf3967f3efc69ef70952f9bb10fc1ee2c4876eb95956b5ad2d31350e5fada768feb651352535fb8cd1233f61998a5a7d2e93c"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[0-9a-f]{128})$", var.ai_image_checksum))
    error_message = "ai_image_checksum: give a SHA-512 checksum of 128 hex digits, as a733…e93c."
  }
}

# --- DigitalOcean

variable "ai_digitalocean_token_file" {
  description = "File with the DigitalOcean API token. Needed if ai_machine is digitalocean_vm."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_digitalocean_token_file == null ? true : try(fileexists(pathexpand(var.ai_digitalocean_token_file)) && length(trimspace(file(pathexpand(var.ai_digitalocean_token_file)))) > 0, false)
    error_message = "ai_digitalocean_token_file: give the path of a file on this machine with a DigitalOcean API token."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || var.ai_digitalocean_token_file != null])
    error_message = "ai_digitalocean_token_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || var.ai_digitalocean_token_file != null)])}): ai_machine is \"digitalocean_vm\". Give the path of a file with a DigitalOcean API token."
  }
}

variable "ai_digitalocean_region" {
  description = "Region of the droplet; GPUs are not in all of them."
  type        = string
  default     = "tor1"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z]{3}[0-9])$", var.ai_digitalocean_region))
    error_message = "ai_digitalocean_region: give a region, as tor1."
  }
}

variable "ai_digitalocean_size" {
  description = "Size of the droplet; those with a GPU begin with gpu-."
  type        = string
  default     = "gpu-4000adax1-20gb"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)+)$", var.ai_digitalocean_size))
    error_message = "ai_digitalocean_size: give a droplet size, as gpu-4000adax1-20gb."
  }
}

variable "ai_digitalocean_image" {
  description = "Image of the droplet."
  type        = string
  default     = "ubuntu-24-04-x64"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9][a-z0-9-]{1,99})$", var.ai_digitalocean_image))
    error_message = "ai_digitalocean_image: give a droplet image, as ubuntu-24-04-x64."
  }
}

# --- Cloudflare

variable "ai_cloudflare_zone" {
  description = "Zone at Cloudflare that ai_domain is in. Needed if ai_dns is cloudflare_record."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_cloudflare_zone == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", var.ai_cloudflare_zone)) && can(regex("^(?:.{4,254})$", var.ai_cloudflare_zone)) && !can(cidrhost("${var.ai_cloudflare_zone}/32", 0))
    error_message = "ai_cloudflare_zone: give a full domain name, as example.com."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_dns == null ? var.ai_dns : host.ai_dns) != "cloudflare_record" || (host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone) != null])
    error_message = "ai_cloudflare_zone (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_dns == null ? var.ai_dns : host.ai_dns) != "cloudflare_record" || (host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone) != null)])}): the record of ai_domain is made in it. Give the zone's name, as example.com."
  }

  # elsewhere
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone) == null || (host.ai_domain == null ? var.ai_domain : host.ai_domain) == null ? true : endswith(".${trimsuffix(lower((host.ai_domain == null ? var.ai_domain : host.ai_domain)), ".")}", ".${trimsuffix(lower((host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone)), ".")}")])
    error_message = "ai_cloudflare_zone (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone) == null || (host.ai_domain == null ? var.ai_domain : host.ai_domain) == null ? true : endswith(".${trimsuffix(lower((host.ai_domain == null ? var.ai_domain : host.ai_domain)), ".")}", ".${trimsuffix(lower((host.ai_cloudflare_zone == null ? var.ai_cloudflare_zone : host.ai_cloudflare_zone)), ".")}"))])}): ai_domain is not in it. Give the zone that ai_domain ends in."
  }
}

variable "ai_cloudflare_record_id" {
  description = "Existing record of ai_domain that is adopted and then kept; none: there must be none yet."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_cloudflare_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", var.ai_cloudflare_record_id))
    error_message = "ai_cloudflare_record_id: give a record's id of 32 hex digits, as 023e105f4ecef8ad9ca31a8372d0c353."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_cloudflare_record_id == null ? var.ai_cloudflare_record_id : host.ai_cloudflare_record_id)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_cloudflare_record_id == null ? var.ai_cloudflare_record_id : host.ai_cloudflare_record_id)])))
    error_message = "ai_cloudflare_record_id: two hosts adopt the same record. Give each host in ai_hosts a ai_cloudflare_record_id of its own."
  }
}

variable "ai_cloudflare_ipv6_record_id" {
  description = "The same for the AAAA record of ai_ipv6_address."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_cloudflare_ipv6_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", var.ai_cloudflare_ipv6_record_id))
    error_message = "ai_cloudflare_ipv6_record_id: give a record's id of 32 hex digits, as 023e105f4ecef8ad9ca31a8372d0c353."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_cloudflare_ipv6_record_id == null ? var.ai_cloudflare_ipv6_record_id : host.ai_cloudflare_ipv6_record_id) == null || (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) != null])
    error_message = "ai_cloudflare_ipv6_record_id (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_cloudflare_ipv6_record_id == null ? var.ai_cloudflare_ipv6_record_id : host.ai_cloudflare_ipv6_record_id) == null || (host.ai_ipv6_address == null ? var.ai_ipv6_address : host.ai_ipv6_address) != null)])}): there is no AAAA record beside the A record without ai_ipv6_address. Give ai_ipv6_address, or leave it out."
  }
}

variable "ai_dns_ttl_s" {
  description = "How long resolvers may keep the record."
  type        = number
  default     = 300
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_dns_ttl_s) == var.ai_dns_ttl_s && var.ai_dns_ttl_s >= 60 && var.ai_dns_ttl_s <= 86400
    error_message = "ai_dns_ttl_s: give 60 to 86400 seconds."
  }
}
