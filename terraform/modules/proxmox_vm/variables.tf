variable "name" {
  description = "Short name of the host; the VM is called so."
  type        = string
  nullable    = false
}

variable "user" {
  description = "User who logs in to deploy; made on first boot, with sudo."
  type        = string
  nullable    = false
}

variable "public_key" {
  description = "Public SSH key that may log in as that user."
  type        = string
  nullable    = false
}

variable "ssh_key_file" {
  description = "Private key that belongs to it; none: what ssh finds by itself."
  type        = string
  default     = null
}

variable "wait_s" {
  description = "Seconds to wait for the first contact."
  type        = number
  default     = 600
  nullable    = false
}

variable "network" {
  description = "Static addresses with the length of their prefix, routers, DNS servers, and the card's bridge and VLAN."
  type = object({
    address      = string
    prefix       = number
    gateway      = string
    ipv6_address = optional(string)
    ipv6_prefix  = optional(number, 64)
    ipv6_gateway = optional(string)
    name_servers = optional(list(string), [])
    bridge       = optional(string, "vmbr0")
    vlan         = optional(number)
  })
  nullable = false
}

variable "size" {
  description = "Cores, memory in MiB and disk in GiB."
  type = object({
    cores      = number
    memory_mib = number
    disk_gib   = number
  })
  nullable = false
}

variable "place" {
  description = "Node, storage of the disk, storage of images (content import and iso), and the VM's number if it is to have a certain one."
  type = object({
    node          = string
    storage       = string
    image_storage = string
    vm_id         = optional(number)
  })
  nullable = false
}

variable "image" {
  description = "Cloud image: an address whose content never changes, and its SHA-512 checksum."
  type = object({
    url      = string
    checksum = string
  })
  nullable = false
}

variable "gpu" {
  description = "Hardware mapping of the GPU that is passed through; none: no GPU. With path and id the mapping is made."
  type = object({
    mapping = string
    path    = optional(string)
    id      = optional(string)
  })
  default = null
}
