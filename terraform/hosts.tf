# Made by `python -m ai_services.host.documents` from src/ai_services/host/machine_settings.py and settings.py; change that instead.

variable "ai_hosts" {
  description = "Hosts by a short name. Each may have a value of its own for whatever is listed here, and has the single variable's otherwise. By default one host, called \"ai\"."
  type = map(object({
    ai_machine                        = optional(string)
    ai_dns                            = optional(string)
    ai_vm_cores                       = optional(number)
    ai_vm_memory_mib                  = optional(number)
    ai_vm_disk_gib                    = optional(number)
    ai_address                        = optional(string)
    ai_address_prefix                 = optional(number)
    ai_gateway_address                = optional(string)
    ai_ipv6_address                   = optional(string)
    ai_ipv6_prefix                    = optional(number)
    ai_ipv6_gateway_address           = optional(string)
    ai_name_servers                   = optional(list(string))
    ai_ssh_user                       = optional(string)
    ai_ssh_key_file                   = optional(string)
    ai_ssh_public_key_file            = optional(string)
    ai_host_key                       = optional(string)
    ai_ssh_wait_s                     = optional(number)
    ai_proxmox_node                   = optional(string)
    ai_proxmox_vm_id                  = optional(number)
    ai_proxmox_storage                = optional(string)
    ai_proxmox_image_storage          = optional(string)
    ai_proxmox_bridge                 = optional(string)
    ai_proxmox_vlan                   = optional(number)
    ai_proxmox_pci_mapping            = optional(string)
    ai_proxmox_pci_path               = optional(string)
    ai_proxmox_pci_id                 = optional(string)
    ai_image_url                      = optional(string)
    ai_image_checksum                 = optional(string)
    ai_digitalocean_region            = optional(string)
    ai_digitalocean_size              = optional(string)
    ai_digitalocean_image             = optional(string)
    ai_cloudflare_zone                = optional(string)
    ai_cloudflare_record_id           = optional(string)
    ai_cloudflare_ipv6_record_id      = optional(string)
    ai_dns_ttl_s                      = optional(number)
    ai_domain                         = optional(string)
    ai_tls                            = optional(string)
    ai_tls_certificate_file           = optional(string)
    ai_tls_key_file                   = optional(string)
    ai_acme_email                     = optional(string)
    ai_acme_directory                 = optional(string)
    ai_cloudflare_token_file          = optional(string)
    ai_dns_propagation_s              = optional(number)
    ai_allowed_networks               = optional(list(string))
    ai_firewall                       = optional(string)
    ai_extra_ca_file                  = optional(string)
    ai_github_owner                   = optional(string)
    ai_ghcr_token_file                = optional(string)
    ai_registry                       = optional(string)
    ai_version                        = optional(string)
    ai_gateway_image                  = optional(string)
    ai_whisper_api_image              = optional(string)
    ai_ollama_image                   = optional(string)
    ai_refresh_images                 = optional(bool)
    ai_accelerator                    = optional(string)
    ai_driver_branch                  = optional(string)
    ai_driver_source                  = optional(string)
    ai_container_toolkit_version      = optional(string)
    ai_gpu_mode                       = optional(string)
    ai_reboot                         = optional(string)
    ai_docker_source                  = optional(string)
    ai_repository_fingerprints        = optional(list(string))
    ai_whisper_model                  = optional(string)
    ai_whisper_compute_type           = optional(string)
    ai_whisper_unload_after_s         = optional(number)
    ai_ollama_model                   = optional(string)
    ai_ollama_extra_models            = optional(list(string))
    ai_huggingface_endpoint           = optional(string)
    ai_huggingface_token_file         = optional(string)
    ai_api_keys_file                  = optional(string)
    ai_max_upload_mib                 = optional(number)
    ai_max_json_mib                   = optional(number)
    ai_max_task_queue_size            = optional(number)
    ai_max_connections_per_address    = optional(number)
    ai_max_requests_per_s_per_address = optional(number)
    ai_upstream_connect_timeout_s     = optional(number)
    ai_upstream_first_byte_timeout_s  = optional(number)
    ai_upstream_idle_timeout_s        = optional(number)
    ai_gateway_memory_mib             = optional(number)
    ai_whisper_api_memory_mib         = optional(number)
    ai_ollama_memory_mib              = optional(number)
    ai_pids_limit                     = optional(number)
    ai_profiles                       = optional(list(string))
    ai_grafana_port                   = optional(number)
    ai_prometheus_image               = optional(string)
    ai_grafana_image                  = optional(string)
    ai_node_exporter_image            = optional(string)
    ai_gpu_exporter_image             = optional(string)
    ai_old_api                        = optional(list(string))
    ai_old_api_keyless                = optional(bool)
    ai_old_api_listeners              = optional(list(string))
    ai_old_api_url                    = optional(string)
    ai_backup_recipients              = optional(list(string))
    ai_backup_to                      = optional(string)
    ai_backup_at                      = optional(string)
    ai_backup_keep                    = optional(number)
    ai_backup_s3_endpoint             = optional(string)
    ai_backup_s3_credentials_file     = optional(string)
    ai_keep_data                      = optional(bool)
  }))
  default  = { ai = {} }
  nullable = false

  # some
  validation {
    condition     = length(var.ai_hosts) > 0
    error_message = "ai_hosts: is empty. Name at least one host, or leave it out for one called ai."
  }

  # names
  validation {
    condition     = alltrue([for name in keys(var.ai_hosts) : can(regex("^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "ai_hosts: a host's name is up to 32 small letters, digits and hyphens; first a letter."
  }

  # ai_machine
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_machine == null ? true : contains(["proxmox_vm", "existing_host", "digitalocean_vm"], host.ai_machine)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_machine == null ? true : contains(["proxmox_vm", "existing_host", "digitalocean_vm"], host.ai_machine))])}): ai_machine: give proxmox_vm, existing_host or digitalocean_vm."
  }

  # ai_dns
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_dns == null ? true : contains(["cloudflare_record", "none"], host.ai_dns)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_dns == null ? true : contains(["cloudflare_record", "none"], host.ai_dns))])}): ai_dns: give cloudflare_record or none."
  }

  # ai_vm_cores
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_vm_cores == null ? true : floor(host.ai_vm_cores) == host.ai_vm_cores && host.ai_vm_cores >= 1 && host.ai_vm_cores <= 512])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_vm_cores == null ? true : floor(host.ai_vm_cores) == host.ai_vm_cores && host.ai_vm_cores >= 1 && host.ai_vm_cores <= 512)])}): ai_vm_cores: give 1 to 512 cores."
  }

  # ai_vm_memory_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_vm_memory_mib == null ? true : floor(host.ai_vm_memory_mib) == host.ai_vm_memory_mib && host.ai_vm_memory_mib >= 4096 && host.ai_vm_memory_mib <= 4194304])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_vm_memory_mib == null ? true : floor(host.ai_vm_memory_mib) == host.ai_vm_memory_mib && host.ai_vm_memory_mib >= 4096 && host.ai_vm_memory_mib <= 4194304)])}): ai_vm_memory_mib: give 4096 to 4194304 MiB."
  }

  # ai_vm_disk_gib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_vm_disk_gib == null ? true : floor(host.ai_vm_disk_gib) == host.ai_vm_disk_gib && host.ai_vm_disk_gib >= 32 && host.ai_vm_disk_gib <= 65536])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_vm_disk_gib == null ? true : floor(host.ai_vm_disk_gib) == host.ai_vm_disk_gib && host.ai_vm_disk_gib >= 32 && host.ai_vm_disk_gib <= 65536)])}): ai_vm_disk_gib: give 32 to 65536 GiB."
  }

  # ai_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_address == null ? true : strcontains(host.ai_address, ":") ? can(cidrhost("${host.ai_address}/128", 0)) : can(cidrhost("${host.ai_address}/32", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_address == null ? true : strcontains(host.ai_address, ":") ? can(cidrhost("${host.ai_address}/128", 0)) : can(cidrhost("${host.ai_address}/32", 0)))])}): ai_address: give an IP address, as 192.168.20.30 or 2001:db8::30."
  }

  # ai_address_prefix
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_address_prefix == null ? true : floor(host.ai_address_prefix) == host.ai_address_prefix && host.ai_address_prefix >= 1 && host.ai_address_prefix <= 128])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_address_prefix == null ? true : floor(host.ai_address_prefix) == host.ai_address_prefix && host.ai_address_prefix >= 1 && host.ai_address_prefix <= 128)])}): ai_address_prefix: give 1 to 128 bits."
  }

  # ai_gateway_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_gateway_address == null ? true : strcontains(host.ai_gateway_address, ":") ? can(cidrhost("${host.ai_gateway_address}/128", 0)) : can(cidrhost("${host.ai_gateway_address}/32", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_gateway_address == null ? true : strcontains(host.ai_gateway_address, ":") ? can(cidrhost("${host.ai_gateway_address}/128", 0)) : can(cidrhost("${host.ai_gateway_address}/32", 0)))])}): ai_gateway_address: give an IP address, as 192.168.20.30 or 2001:db8::30."
  }

  # ai_ipv6_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ipv6_address == null ? true : strcontains(host.ai_ipv6_address, ":") && can(cidrhost("${host.ai_ipv6_address}/128", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ipv6_address == null ? true : strcontains(host.ai_ipv6_address, ":") && can(cidrhost("${host.ai_ipv6_address}/128", 0)))])}): ai_ipv6_address: give an IPv6 address, as 2001:db8::30."
  }

  # ai_ipv6_prefix
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ipv6_prefix == null ? true : floor(host.ai_ipv6_prefix) == host.ai_ipv6_prefix && host.ai_ipv6_prefix >= 1 && host.ai_ipv6_prefix <= 128])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ipv6_prefix == null ? true : floor(host.ai_ipv6_prefix) == host.ai_ipv6_prefix && host.ai_ipv6_prefix >= 1 && host.ai_ipv6_prefix <= 128)])}): ai_ipv6_prefix: give 1 to 128 bits."
  }

  # ai_ipv6_gateway_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ipv6_gateway_address == null ? true : strcontains(host.ai_ipv6_gateway_address, ":") && can(cidrhost("${host.ai_ipv6_gateway_address}/128", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ipv6_gateway_address == null ? true : strcontains(host.ai_ipv6_gateway_address, ":") && can(cidrhost("${host.ai_ipv6_gateway_address}/128", 0)))])}): ai_ipv6_gateway_address: give an IPv6 address, as 2001:db8::30."
  }

  # ai_name_servers
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_name_servers == null ? true : alltrue([for each in host.ai_name_servers : strcontains(each, ":") ? can(cidrhost("${each}/128", 0)) : can(cidrhost("${each}/32", 0))])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_name_servers == null ? true : alltrue([for each in host.ai_name_servers : strcontains(each, ":") ? can(cidrhost("${each}/128", 0)) : can(cidrhost("${each}/32", 0))]))])}): ai_name_servers: give a list; each: an IP address, as 192.168.20.30 or 2001:db8::30."
  }

  # ai_ssh_user
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ssh_user == null ? true : can(regex("^(?:[a-z_][a-z0-9_-]{0,31})$", host.ai_ssh_user))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ssh_user == null ? true : can(regex("^(?:[a-z_][a-z0-9_-]{0,31})$", host.ai_ssh_user)))])}): ai_ssh_user: give a user name, as deployer."
  }

  # ai_ssh_key_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ssh_key_file == null ? true : try(fileexists(pathexpand(host.ai_ssh_key_file)) && strcontains(file(pathexpand(host.ai_ssh_key_file)), "PRIVATE KEY"), false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ssh_key_file == null ? true : try(fileexists(pathexpand(host.ai_ssh_key_file)) && strcontains(file(pathexpand(host.ai_ssh_key_file)), "PRIVATE KEY"), false))])}): ai_ssh_key_file: give the path of a file on this machine with an SSH private key."
  }

  # ai_ssh_public_key_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ssh_public_key_file == null ? true : try(fileexists(pathexpand(host.ai_ssh_public_key_file)) && length(trimspace(file(pathexpand(host.ai_ssh_public_key_file)))) > 0, false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ssh_public_key_file == null ? true : try(fileexists(pathexpand(host.ai_ssh_public_key_file)) && length(trimspace(file(pathexpand(host.ai_ssh_public_key_file)))) > 0, false))])}): ai_ssh_public_key_file: give the path of a file on this machine with an SSH public key."
  }

  # ai_host_key
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_host_key == null ? true : can(regex("^(?:(?:(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,900}={0,2}(?: [^\\n]*)?|SHA256:[A-Za-z0-9+/]{43}=?))$", host.ai_host_key))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_host_key == null ? true : can(regex("^(?:(?:(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,900}={0,2}(?: [^\\n]*)?|SHA256:[A-Za-z0-9+/]{43}=?))$", host.ai_host_key)))])}): ai_host_key: give a host's public key or its fingerprint, as ssh-ed25519 AAAA… (/etc/ssh/ssh_host_ed25519_key.pub)."
  }

  # ai_ssh_wait_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ssh_wait_s == null ? true : floor(host.ai_ssh_wait_s) == host.ai_ssh_wait_s && host.ai_ssh_wait_s >= 0 && host.ai_ssh_wait_s <= 7200])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ssh_wait_s == null ? true : floor(host.ai_ssh_wait_s) == host.ai_ssh_wait_s && host.ai_ssh_wait_s >= 0 && host.ai_ssh_wait_s <= 7200)])}): ai_ssh_wait_s: give 0 to 7200 seconds."
  }

  # ai_proxmox_node
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_node == null ? true : can(regex("^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$", host.ai_proxmox_node))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_node == null ? true : can(regex("^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$", host.ai_proxmox_node)))])}): ai_proxmox_node: give a node's name, as pve."
  }

  # ai_proxmox_vm_id
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_vm_id == null ? true : floor(host.ai_proxmox_vm_id) == host.ai_proxmox_vm_id && host.ai_proxmox_vm_id >= 100 && host.ai_proxmox_vm_id <= 999999999])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_vm_id == null ? true : floor(host.ai_proxmox_vm_id) == host.ai_proxmox_vm_id && host.ai_proxmox_vm_id >= 100 && host.ai_proxmox_vm_id <= 999999999)])}): ai_proxmox_vm_id: give 100 to 999999999."
  }

  # ai_proxmox_storage
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_storage == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", host.ai_proxmox_storage))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_storage == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", host.ai_proxmox_storage)))])}): ai_proxmox_storage: give a storage's name, as local-lvm."
  }

  # ai_proxmox_image_storage
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_image_storage == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", host.ai_proxmox_image_storage))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_image_storage == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9._-]{0,99})$", host.ai_proxmox_image_storage)))])}): ai_proxmox_image_storage: give a storage's name, as local."
  }

  # ai_proxmox_bridge
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_bridge == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9_.-]{0,14})$", host.ai_proxmox_bridge))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_bridge == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9_.-]{0,14})$", host.ai_proxmox_bridge)))])}): ai_proxmox_bridge: give a bridge's name, as vmbr0."
  }

  # ai_proxmox_vlan
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_vlan == null ? true : floor(host.ai_proxmox_vlan) == host.ai_proxmox_vlan && host.ai_proxmox_vlan >= 1 && host.ai_proxmox_vlan <= 4094])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_vlan == null ? true : floor(host.ai_proxmox_vlan) == host.ai_proxmox_vlan && host.ai_proxmox_vlan >= 1 && host.ai_proxmox_vlan <= 4094)])}): ai_proxmox_vlan: give 1 to 4094."
  }

  # ai_proxmox_pci_mapping
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_pci_mapping == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9_-]{1,99})$", host.ai_proxmox_pci_mapping))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_pci_mapping == null ? true : can(regex("^(?:[A-Za-z][A-Za-z0-9_-]{1,99})$", host.ai_proxmox_pci_mapping)))])}): ai_proxmox_pci_mapping: give a hardware mapping's name, as gpu0."
  }

  # ai_proxmox_pci_path
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_pci_path == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})$", host.ai_proxmox_pci_path))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_pci_path == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})$", host.ai_proxmox_pci_path)))])}): ai_proxmox_pci_path: give a PCI address without function, as 0000:01:00."
  }

  # ai_proxmox_pci_id
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_proxmox_pci_id == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{4})$", host.ai_proxmox_pci_id))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_proxmox_pci_id == null ? true : can(regex("^(?:[0-9a-f]{4}:[0-9a-f]{4})$", host.ai_proxmox_pci_id)))])}): ai_proxmox_pci_id: give a PCI id, as 10de:13f1."
  }

  # ai_image_url
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_image_url == null ? true : can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", host.ai_image_url))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_image_url == null ? true : can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", host.ai_image_url)))])}): ai_image_url: give an address that begins with https://."
  }

  # ai_image_checksum
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_image_checksum == null ? true : can(regex("^(?:[0-9a-f]{128})$", host.ai_image_checksum))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_image_checksum == null ? true : can(regex("^(?:[0-9a-f]{128})$", host.ai_image_checksum)))])}): ai_image_checksum: give a SHA-512 checksum of 128 hex digits, as a733…e93c."
  }

  # ai_digitalocean_region
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_digitalocean_region == null ? true : can(regex("^(?:[a-z]{3}[0-9])$", host.ai_digitalocean_region))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_digitalocean_region == null ? true : can(regex("^(?:[a-z]{3}[0-9])$", host.ai_digitalocean_region)))])}): ai_digitalocean_region: give a region, as tor1."
  }

  # ai_digitalocean_size
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_digitalocean_size == null ? true : can(regex("^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)+)$", host.ai_digitalocean_size))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_digitalocean_size == null ? true : can(regex("^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)+)$", host.ai_digitalocean_size)))])}): ai_digitalocean_size: give a droplet size, as gpu-4000adax1-20gb."
  }

  # ai_digitalocean_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_digitalocean_image == null ? true : can(regex("^(?:[a-z0-9][a-z0-9-]{1,99})$", host.ai_digitalocean_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_digitalocean_image == null ? true : can(regex("^(?:[a-z0-9][a-z0-9-]{1,99})$", host.ai_digitalocean_image)))])}): ai_digitalocean_image: give a droplet image, as ubuntu-24-04-x64."
  }

  # ai_cloudflare_zone
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_cloudflare_zone == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", host.ai_cloudflare_zone)) && can(regex("^(?:.{4,254})$", host.ai_cloudflare_zone)) && !can(cidrhost("${host.ai_cloudflare_zone}/32", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_cloudflare_zone == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", host.ai_cloudflare_zone)) && can(regex("^(?:.{4,254})$", host.ai_cloudflare_zone)) && !can(cidrhost("${host.ai_cloudflare_zone}/32", 0)))])}): ai_cloudflare_zone: give a full domain name, as example.com."
  }

  # ai_cloudflare_record_id
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_cloudflare_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", host.ai_cloudflare_record_id))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_cloudflare_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", host.ai_cloudflare_record_id)))])}): ai_cloudflare_record_id: give a record's id of 32 hex digits, as 023e105f4ecef8ad9ca31a8372d0c353."
  }

  # ai_cloudflare_ipv6_record_id
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_cloudflare_ipv6_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", host.ai_cloudflare_ipv6_record_id))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_cloudflare_ipv6_record_id == null ? true : can(regex("^(?:[0-9a-f]{32})$", host.ai_cloudflare_ipv6_record_id)))])}): ai_cloudflare_ipv6_record_id: give a record's id of 32 hex digits, as 023e105f4ecef8ad9ca31a8372d0c353."
  }

  # ai_dns_ttl_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_dns_ttl_s == null ? true : floor(host.ai_dns_ttl_s) == host.ai_dns_ttl_s && host.ai_dns_ttl_s >= 60 && host.ai_dns_ttl_s <= 86400])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_dns_ttl_s == null ? true : floor(host.ai_dns_ttl_s) == host.ai_dns_ttl_s && host.ai_dns_ttl_s >= 60 && host.ai_dns_ttl_s <= 86400)])}): ai_dns_ttl_s: give 60 to 86400 seconds."
  }

  # ai_domain
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_domain == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", host.ai_domain)) && can(regex("^(?:.{4,254})$", host.ai_domain)) && !can(cidrhost("${host.ai_domain}/32", 0))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_domain == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", host.ai_domain)) && can(regex("^(?:.{4,254})$", host.ai_domain)) && !can(cidrhost("${host.ai_domain}/32", 0)))])}): ai_domain: give a full domain name, as ai.internal.example.com."
  }

  # ai_tls
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_tls == null ? true : contains(["letsencrypt", "own", "off"], host.ai_tls)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_tls == null ? true : contains(["letsencrypt", "own", "off"], host.ai_tls))])}): ai_tls: give letsencrypt, own or off."
  }

  # ai_tls_certificate_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_tls_certificate_file == null ? true : try(fileexists(pathexpand(host.ai_tls_certificate_file)) && strcontains(file(pathexpand(host.ai_tls_certificate_file)), "-----BEGIN CERTIFICATE"), false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_tls_certificate_file == null ? true : try(fileexists(pathexpand(host.ai_tls_certificate_file)) && strcontains(file(pathexpand(host.ai_tls_certificate_file)), "-----BEGIN CERTIFICATE"), false))])}): ai_tls_certificate_file: give the path of a file on this machine with the certificate and its chain (PEM)."
  }

  # ai_tls_key_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_tls_key_file == null ? true : try(fileexists(pathexpand(host.ai_tls_key_file)) && strcontains(file(pathexpand(host.ai_tls_key_file)), "PRIVATE KEY"), false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_tls_key_file == null ? true : try(fileexists(pathexpand(host.ai_tls_key_file)) && strcontains(file(pathexpand(host.ai_tls_key_file)), "PRIVATE KEY"), false))])}): ai_tls_key_file: give the path of a file on this machine with the certificate's private key (PEM)."
  }

  # ai_acme_email
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_acme_email == null ? true : can(regex("^(?:[^\\s@]+@[^\\s@]+\\.[^\\s@]+)$", host.ai_acme_email))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_acme_email == null ? true : can(regex("^(?:[^\\s@]+@[^\\s@]+\\.[^\\s@]+)$", host.ai_acme_email)))])}): ai_acme_email: give an e-mail address, as ops@example.com."
  }

  # ai_acme_directory
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_acme_directory == null ? true : can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", host.ai_acme_directory))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_acme_directory == null ? true : can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", host.ai_acme_directory)))])}): ai_acme_directory: give an address that begins with https://."
  }

  # ai_cloudflare_token_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_cloudflare_token_file == null ? true : try(fileexists(pathexpand(host.ai_cloudflare_token_file)) && length(trimspace(file(pathexpand(host.ai_cloudflare_token_file)))) > 0, false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_cloudflare_token_file == null ? true : try(fileexists(pathexpand(host.ai_cloudflare_token_file)) && length(trimspace(file(pathexpand(host.ai_cloudflare_token_file)))) > 0, false))])}): ai_cloudflare_token_file: give the path of a file on this machine with a Cloudflare API token (permission Zone:DNS:Edit)."
  }

  # ai_dns_propagation_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_dns_propagation_s == null ? true : floor(host.ai_dns_propagation_s) == host.ai_dns_propagation_s && host.ai_dns_propagation_s >= 0 && host.ai_dns_propagation_s <= 3600])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_dns_propagation_s == null ? true : floor(host.ai_dns_propagation_s) == host.ai_dns_propagation_s && host.ai_dns_propagation_s >= 0 && host.ai_dns_propagation_s <= 3600)])}): ai_dns_propagation_s: give 0 to 3600 seconds."
  }

  # ai_allowed_networks
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_allowed_networks == null ? true : length(host.ai_allowed_networks) > 0 && (join(",", host.ai_allowed_networks) == "any" || alltrue([for each in host.ai_allowed_networks : strcontains(each, "/") ? try(cidrhost(each, 0) == cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0), false) : can(cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0))]))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_allowed_networks == null ? true : length(host.ai_allowed_networks) > 0 && (join(",", host.ai_allowed_networks) == "any" || alltrue([for each in host.ai_allowed_networks : strcontains(each, "/") ? try(cidrhost(each, 0) == cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0), false) : can(cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0))])))])}): ai_allowed_networks: give a list of networks, as 192.168.20.0/24, or \"any\"."
  }

  # ai_firewall
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_firewall == null ? true : contains(["on", "off"], host.ai_firewall)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_firewall == null ? true : contains(["on", "off"], host.ai_firewall))])}): ai_firewall: give on or off."
  }

  # ai_extra_ca_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_extra_ca_file == null ? true : try(fileexists(pathexpand(host.ai_extra_ca_file)) && strcontains(file(pathexpand(host.ai_extra_ca_file)), "-----BEGIN CERTIFICATE"), false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_extra_ca_file == null ? true : try(fileexists(pathexpand(host.ai_extra_ca_file)) && strcontains(file(pathexpand(host.ai_extra_ca_file)), "-----BEGIN CERTIFICATE"), false))])}): ai_extra_ca_file: give the path of a file on this machine with a CA certificate (PEM)."
  }

  # ai_github_owner
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_github_owner == null ? true : can(regex("^(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})$", host.ai_github_owner))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_github_owner == null ? true : can(regex("^(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})$", host.ai_github_owner)))])}): ai_github_owner: give a GitHub user or organisation, as octo-org."
  }

  # ai_ghcr_token_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ghcr_token_file == null ? true : try(fileexists(pathexpand(host.ai_ghcr_token_file)) && length(trimspace(file(pathexpand(host.ai_ghcr_token_file)))) > 0, false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ghcr_token_file == null ? true : try(fileexists(pathexpand(host.ai_ghcr_token_file)) && length(trimspace(file(pathexpand(host.ai_ghcr_token_file)))) > 0, false))])}): ai_ghcr_token_file: give the path of a file on this machine with a GitHub token (permission read:packages)."
  }

  # ai_registry
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_registry == null ? true : can(regex("^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\\d{1,5})?)$", host.ai_registry))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_registry == null ? true : can(regex("^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\\d{1,5})?)$", host.ai_registry)))])}): ai_registry: give a registry's host name, as ghcr.io."
  }

  # ai_version
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_version == null ? true : can(regex("^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})$", host.ai_version))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_version == null ? true : can(regex("^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})$", host.ai_version)))])}): ai_version: give a version, as 0.2.0."
  }

  # ai_gateway_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_gateway_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_gateway_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_gateway_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_gateway_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_gateway_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_gateway_image)))])}): ai_gateway_image: give an image's full name with a tag or digest, as ghcr.io/owner/gateway:1.0.0."
  }

  # ai_whisper_api_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_whisper_api_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_whisper_api_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_whisper_api_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_whisper_api_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_whisper_api_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_whisper_api_image)))])}): ai_whisper_api_image: give an image's full name with a tag or digest, as ghcr.io/owner/gateway:1.0.0."
  }

  # ai_ollama_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ollama_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_ollama_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_ollama_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ollama_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_ollama_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_ollama_image)))])}): ai_ollama_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }

  # ai_accelerator
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_accelerator == null ? true : contains(["auto", "nvidia", "cpu"], host.ai_accelerator)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_accelerator == null ? true : contains(["auto", "nvidia", "cpu"], host.ai_accelerator))])}): ai_accelerator: give auto, nvidia or cpu."
  }

  # ai_driver_branch
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_driver_branch == null ? true : host.ai_driver_branch == "auto" || floor(try(tonumber(host.ai_driver_branch), 0)) == try(tonumber(host.ai_driver_branch), 0) && try(tonumber(host.ai_driver_branch), 0) >= 450 && try(tonumber(host.ai_driver_branch), 0) <= 999])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_driver_branch == null ? true : host.ai_driver_branch == "auto" || floor(try(tonumber(host.ai_driver_branch), 0)) == try(tonumber(host.ai_driver_branch), 0) && try(tonumber(host.ai_driver_branch), 0) >= 450 && try(tonumber(host.ai_driver_branch), 0) <= 999)])}): ai_driver_branch: give auto or the branch's number (450 to 999), as 580."
  }

  # ai_driver_source
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_driver_source == null ? true : contains(["auto", "nvidia", "distribution", "none"], host.ai_driver_source)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_driver_source == null ? true : contains(["auto", "nvidia", "distribution", "none"], host.ai_driver_source))])}): ai_driver_source: give auto, nvidia, distribution or none."
  }

  # ai_container_toolkit_version
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_container_toolkit_version == null ? true : can(regex("^(?:1\\.(?:17\\.(?:[89]|\\d{2,})|1[89]\\.\\d+|[2-9]\\d\\.\\d+)-\\d+)$", host.ai_container_toolkit_version))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_container_toolkit_version == null ? true : can(regex("^(?:1\\.(?:17\\.(?:[89]|\\d{2,})|1[89]\\.\\d+|[2-9]\\d\\.\\d+)-\\d+)$", host.ai_container_toolkit_version)))])}): ai_container_toolkit_version: give a package version of at least 1.17.8, as 1.18.1-1."
  }

  # ai_gpu_mode
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_gpu_mode == null ? true : contains(["auto", "cdi", "reservation"], host.ai_gpu_mode)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_gpu_mode == null ? true : contains(["auto", "cdi", "reservation"], host.ai_gpu_mode))])}): ai_gpu_mode: give auto, cdi or reservation."
  }

  # ai_reboot
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_reboot == null ? true : contains(["auto", "allowed", "never"], host.ai_reboot)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_reboot == null ? true : contains(["auto", "allowed", "never"], host.ai_reboot))])}): ai_reboot: give auto, allowed or never."
  }

  # ai_docker_source
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_docker_source == null ? true : contains(["auto", "distribution", "docker"], host.ai_docker_source)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_docker_source == null ? true : contains(["auto", "distribution", "docker"], host.ai_docker_source))])}): ai_docker_source: give auto, distribution or docker."
  }

  # ai_repository_fingerprints
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_repository_fingerprints == null ? true : alltrue([for each in host.ai_repository_fingerprints : can(regex("^(?:[0-9A-Fa-f]{40})$", each))])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_repository_fingerprints == null ? true : alltrue([for each in host.ai_repository_fingerprints : can(regex("^(?:[0-9A-Fa-f]{40})$", each))]))])}): ai_repository_fingerprints: give a list; each: a key's fingerprint of 40 hex digits, as 9DC8…D88."
  }

  # ai_whisper_model
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_whisper_model == null ? true : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*)$", host.ai_whisper_model))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_whisper_model == null ? true : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*)$", host.ai_whisper_model)))])}): ai_whisper_model: give a model's name, as large-v3-turbo."
  }

  # ai_whisper_compute_type
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_whisper_compute_type == null ? true : contains(["auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"], host.ai_whisper_compute_type)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_whisper_compute_type == null ? true : contains(["auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"], host.ai_whisper_compute_type))])}): ai_whisper_compute_type: give auto, int8, int8_float32, int8_float16, int8_bfloat16, int16, float16, bfloat16 or float32."
  }

  # ai_whisper_unload_after_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_whisper_unload_after_s == null ? true : floor(host.ai_whisper_unload_after_s) == host.ai_whisper_unload_after_s && host.ai_whisper_unload_after_s >= 0 && host.ai_whisper_unload_after_s <= 2592000])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_whisper_unload_after_s == null ? true : floor(host.ai_whisper_unload_after_s) == host.ai_whisper_unload_after_s && host.ai_whisper_unload_after_s >= 0 && host.ai_whisper_unload_after_s <= 2592000)])}): ai_whisper_unload_after_s: give 0 to 2592000 seconds."
  }

  # ai_ollama_model
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ollama_model == null ? true : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", host.ai_ollama_model))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ollama_model == null ? true : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", host.ai_ollama_model)))])}): ai_ollama_model: give a model's name, as qwen2.5:3b."
  }

  # ai_ollama_extra_models
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ollama_extra_models == null ? true : alltrue([for each in host.ai_ollama_extra_models : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", each))])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ollama_extra_models == null ? true : alltrue([for each in host.ai_ollama_extra_models : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", each))]))])}): ai_ollama_extra_models: give a list; each: a model's name, as qwen2.5:3b."
  }

  # ai_huggingface_endpoint
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_huggingface_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", host.ai_huggingface_endpoint))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_huggingface_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", host.ai_huggingface_endpoint)))])}): ai_huggingface_endpoint: give an address that begins with https:// or http://."
  }

  # ai_huggingface_token_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_huggingface_token_file == null ? true : try(fileexists(pathexpand(host.ai_huggingface_token_file)) && length(trimspace(file(pathexpand(host.ai_huggingface_token_file)))) > 0, false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_huggingface_token_file == null ? true : try(fileexists(pathexpand(host.ai_huggingface_token_file)) && length(trimspace(file(pathexpand(host.ai_huggingface_token_file)))) > 0, false))])}): ai_huggingface_token_file: give the path of a file on this machine with a Hugging Face token."
  }

  # ai_api_keys_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_api_keys_file == null ? true : try(fileexists(pathexpand(host.ai_api_keys_file)) && length(trimspace(file(pathexpand(host.ai_api_keys_file)))) > 0, false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_api_keys_file == null ? true : try(fileexists(pathexpand(host.ai_api_keys_file)) && length(trimspace(file(pathexpand(host.ai_api_keys_file)))) > 0, false))])}): ai_api_keys_file: give the path of a file on this machine with the accepted keys, one a line."
  }

  # ai_max_upload_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_max_upload_mib == null ? true : floor(host.ai_max_upload_mib) == host.ai_max_upload_mib && host.ai_max_upload_mib >= 1 && host.ai_max_upload_mib <= 1048576])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_max_upload_mib == null ? true : floor(host.ai_max_upload_mib) == host.ai_max_upload_mib && host.ai_max_upload_mib >= 1 && host.ai_max_upload_mib <= 1048576)])}): ai_max_upload_mib: give 1 to 1048576 MiB."
  }

  # ai_max_json_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_max_json_mib == null ? true : floor(host.ai_max_json_mib) == host.ai_max_json_mib && host.ai_max_json_mib >= 1 && host.ai_max_json_mib <= 1024])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_max_json_mib == null ? true : floor(host.ai_max_json_mib) == host.ai_max_json_mib && host.ai_max_json_mib >= 1 && host.ai_max_json_mib <= 1024)])}): ai_max_json_mib: give 1 to 1024 MiB."
  }

  # ai_max_task_queue_size
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_max_task_queue_size == null ? true : floor(host.ai_max_task_queue_size) == host.ai_max_task_queue_size && host.ai_max_task_queue_size >= 0 && host.ai_max_task_queue_size <= 100000])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_max_task_queue_size == null ? true : floor(host.ai_max_task_queue_size) == host.ai_max_task_queue_size && host.ai_max_task_queue_size >= 0 && host.ai_max_task_queue_size <= 100000)])}): ai_max_task_queue_size: give 0 to 100000 callers."
  }

  # ai_max_connections_per_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_max_connections_per_address == null ? true : floor(host.ai_max_connections_per_address) == host.ai_max_connections_per_address && host.ai_max_connections_per_address >= 0 && host.ai_max_connections_per_address <= 100000])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_max_connections_per_address == null ? true : floor(host.ai_max_connections_per_address) == host.ai_max_connections_per_address && host.ai_max_connections_per_address >= 0 && host.ai_max_connections_per_address <= 100000)])}): ai_max_connections_per_address: give 0 to 100000 requests (0: no limit)."
  }

  # ai_max_requests_per_s_per_address
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_max_requests_per_s_per_address == null ? true : floor(host.ai_max_requests_per_s_per_address) == host.ai_max_requests_per_s_per_address && host.ai_max_requests_per_s_per_address >= 0 && host.ai_max_requests_per_s_per_address <= 100000])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_max_requests_per_s_per_address == null ? true : floor(host.ai_max_requests_per_s_per_address) == host.ai_max_requests_per_s_per_address && host.ai_max_requests_per_s_per_address >= 0 && host.ai_max_requests_per_s_per_address <= 100000)])}): ai_max_requests_per_s_per_address: give 0 to 100000 requests a second (0: no limit)."
  }

  # ai_upstream_connect_timeout_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_upstream_connect_timeout_s == null ? true : floor(host.ai_upstream_connect_timeout_s) == host.ai_upstream_connect_timeout_s && host.ai_upstream_connect_timeout_s >= 1 && host.ai_upstream_connect_timeout_s <= 300])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_upstream_connect_timeout_s == null ? true : floor(host.ai_upstream_connect_timeout_s) == host.ai_upstream_connect_timeout_s && host.ai_upstream_connect_timeout_s >= 1 && host.ai_upstream_connect_timeout_s <= 300)])}): ai_upstream_connect_timeout_s: give 1 to 300 seconds."
  }

  # ai_upstream_first_byte_timeout_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_upstream_first_byte_timeout_s == null ? true : floor(host.ai_upstream_first_byte_timeout_s) == host.ai_upstream_first_byte_timeout_s && host.ai_upstream_first_byte_timeout_s >= 1 && host.ai_upstream_first_byte_timeout_s <= 86400])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_upstream_first_byte_timeout_s == null ? true : floor(host.ai_upstream_first_byte_timeout_s) == host.ai_upstream_first_byte_timeout_s && host.ai_upstream_first_byte_timeout_s >= 1 && host.ai_upstream_first_byte_timeout_s <= 86400)])}): ai_upstream_first_byte_timeout_s: give 1 to 86400 seconds."
  }

  # ai_upstream_idle_timeout_s
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_upstream_idle_timeout_s == null ? true : floor(host.ai_upstream_idle_timeout_s) == host.ai_upstream_idle_timeout_s && host.ai_upstream_idle_timeout_s >= 1 && host.ai_upstream_idle_timeout_s <= 86400])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_upstream_idle_timeout_s == null ? true : floor(host.ai_upstream_idle_timeout_s) == host.ai_upstream_idle_timeout_s && host.ai_upstream_idle_timeout_s >= 1 && host.ai_upstream_idle_timeout_s <= 86400)])}): ai_upstream_idle_timeout_s: give 1 to 86400 seconds."
  }

  # ai_gateway_memory_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_gateway_memory_mib == null ? true : floor(host.ai_gateway_memory_mib) == host.ai_gateway_memory_mib && host.ai_gateway_memory_mib >= 0 && host.ai_gateway_memory_mib <= 4194304])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_gateway_memory_mib == null ? true : floor(host.ai_gateway_memory_mib) == host.ai_gateway_memory_mib && host.ai_gateway_memory_mib >= 0 && host.ai_gateway_memory_mib <= 4194304)])}): ai_gateway_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }

  # ai_whisper_api_memory_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_whisper_api_memory_mib == null ? true : floor(host.ai_whisper_api_memory_mib) == host.ai_whisper_api_memory_mib && host.ai_whisper_api_memory_mib >= 0 && host.ai_whisper_api_memory_mib <= 4194304])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_whisper_api_memory_mib == null ? true : floor(host.ai_whisper_api_memory_mib) == host.ai_whisper_api_memory_mib && host.ai_whisper_api_memory_mib >= 0 && host.ai_whisper_api_memory_mib <= 4194304)])}): ai_whisper_api_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }

  # ai_ollama_memory_mib
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_ollama_memory_mib == null ? true : floor(host.ai_ollama_memory_mib) == host.ai_ollama_memory_mib && host.ai_ollama_memory_mib >= 0 && host.ai_ollama_memory_mib <= 4194304])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_ollama_memory_mib == null ? true : floor(host.ai_ollama_memory_mib) == host.ai_ollama_memory_mib && host.ai_ollama_memory_mib >= 0 && host.ai_ollama_memory_mib <= 4194304)])}): ai_ollama_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }

  # ai_pids_limit
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_pids_limit == null ? true : floor(host.ai_pids_limit) == host.ai_pids_limit && host.ai_pids_limit >= 64 && host.ai_pids_limit <= 1048576])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_pids_limit == null ? true : floor(host.ai_pids_limit) == host.ai_pids_limit && host.ai_pids_limit >= 64 && host.ai_pids_limit <= 1048576)])}): ai_pids_limit: give 64 to 1048576 processes."
  }

  # ai_profiles
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_profiles == null ? true : alltrue([for each in host.ai_profiles : contains(["monitoring"], each)])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_profiles == null ? true : alltrue([for each in host.ai_profiles : contains(["monitoring"], each)]))])}): ai_profiles: give a list; each: monitoring."
  }

  # ai_grafana_port
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_grafana_port == null ? true : floor(host.ai_grafana_port) == host.ai_grafana_port && host.ai_grafana_port >= 1024 && host.ai_grafana_port <= 65535])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_grafana_port == null ? true : floor(host.ai_grafana_port) == host.ai_grafana_port && host.ai_grafana_port >= 1024 && host.ai_grafana_port <= 65535)])}): ai_grafana_port: give 1024 to 65535."
  }

  # ai_prometheus_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_prometheus_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_prometheus_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_prometheus_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_prometheus_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_prometheus_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_prometheus_image)))])}): ai_prometheus_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }

  # ai_grafana_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_grafana_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_grafana_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_grafana_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_grafana_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_grafana_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_grafana_image)))])}): ai_grafana_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }

  # ai_node_exporter_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_node_exporter_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_node_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_node_exporter_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_node_exporter_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_node_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_node_exporter_image)))])}): ai_node_exporter_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }

  # ai_gpu_exporter_image
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_gpu_exporter_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_gpu_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_gpu_exporter_image))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_gpu_exporter_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", host.ai_gpu_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", host.ai_gpu_exporter_image)))])}): ai_gpu_exporter_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }

  # ai_old_api
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_old_api == null ? true : alltrue([for each in host.ai_old_api : contains(["asr", "speaches", "whisper_api", "seed"], each)])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_old_api == null ? true : alltrue([for each in host.ai_old_api : contains(["asr", "speaches", "whisper_api", "seed"], each)]))])}): ai_old_api: give a list; each: asr, speaches, whisper_api or seed."
  }

  # ai_old_api_listeners
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_old_api_listeners == null ? true : alltrue([for each in host.ai_old_api_listeners : can(regex("^(?:[1-9][0-9]{0,4}(?: (?:_|(?:\\*\\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))*(?: certificate=/[A-Za-z0-9._/@+-]+ key=/[A-Za-z0-9._/@+-]+)?)$", each))])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_old_api_listeners == null ? true : alltrue([for each in host.ai_old_api_listeners : can(regex("^(?:[1-9][0-9]{0,4}(?: (?:_|(?:\\*\\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))*(?: certificate=/[A-Za-z0-9._/@+-]+ key=/[A-Za-z0-9._/@+-]+)?)$", each))]))])}): ai_old_api_listeners: give a list; each: a port, then the names it answers to, then certificate=/path key=/path if it speaks TLS, as 443 whisper.example.com certificate=/etc/ssl/w.pem key=/etc/ssl/w.key."
  }

  # ai_old_api_url
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_old_api_url == null ? true : can(regex("^(?:(?:http)://[^ /?#]+[^ ]*)$", host.ai_old_api_url))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_old_api_url == null ? true : can(regex("^(?:(?:http)://[^ /?#]+[^ ]*)$", host.ai_old_api_url)))])}): ai_old_api_url: give an address that begins with http://."
  }

  # ai_backup_recipients
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_recipients == null ? true : alltrue([for each in host.ai_backup_recipients : can(regex("^(?:age1[0-9a-z]{58}|ssh-ed25519 [A-Za-z0-9+/]{68})$", each))])])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_recipients == null ? true : alltrue([for each in host.ai_backup_recipients : can(regex("^(?:age1[0-9a-z]{58}|ssh-ed25519 [A-Za-z0-9+/]{68})$", each))]))])}): ai_backup_recipients: give a list; each: a public key of age, or an ssh-ed25519 one without its comment, as age1…."
  }

  # ai_backup_to
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_to == null ? true : can(regex("^(?:(?:/+\\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9._=/-]*)?)$", host.ai_backup_to))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_to == null ? true : can(regex("^(?:(?:/+\\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9._=/-]*)?)$", host.ai_backup_to)))])}): ai_backup_to: give a directory of the host, or s3://BUCKET/PREFIX, as /var/backups/ai-services."
  }

  # ai_backup_at
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_at == null ? true : can(regex("^(?:[A-Za-z0-9*][A-Za-z0-9*:,./~ -]{0,60})$", host.ai_backup_at))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_at == null ? true : can(regex("^(?:[A-Za-z0-9*][A-Za-z0-9*:,./~ -]{0,60})$", host.ai_backup_at)))])}): ai_backup_at: give a time as systemd's OnCalendar takes it, as *-*-* 03:30:00."
  }

  # ai_backup_keep
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_keep == null ? true : floor(host.ai_backup_keep) == host.ai_backup_keep && host.ai_backup_keep >= 0 && host.ai_backup_keep <= 100000])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_keep == null ? true : floor(host.ai_backup_keep) == host.ai_backup_keep && host.ai_backup_keep >= 0 && host.ai_backup_keep <= 100000)])}): ai_backup_keep: give 0 to 100000 backups (0: all)."
  }

  # ai_backup_s3_endpoint
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_s3_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", host.ai_backup_s3_endpoint))])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_s3_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", host.ai_backup_s3_endpoint)))])}): ai_backup_s3_endpoint: give an address that begins with https:// or http://."
  }

  # ai_backup_s3_credentials_file
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : host.ai_backup_s3_credentials_file == null ? true : try(fileexists(pathexpand(host.ai_backup_s3_credentials_file)) && strcontains(file(pathexpand(host.ai_backup_s3_credentials_file)), "aws_secret_access_key"), false)])
    error_message = "ai_hosts (host ${join(", ", [for name, host in var.ai_hosts : name if !(host.ai_backup_s3_credentials_file == null ? true : try(fileexists(pathexpand(host.ai_backup_s3_credentials_file)) && strcontains(file(pathexpand(host.ai_backup_s3_credentials_file)), "aws_secret_access_key"), false))])}): ai_backup_s3_credentials_file: give the path of a file on this machine with credentials as AWS's tools keep them."
  }
}

locals {
  # What every host has that says nothing else.
  common = {
    ai_machine                        = var.ai_machine
    ai_dns                            = var.ai_dns
    ai_vm_cores                       = var.ai_vm_cores
    ai_vm_memory_mib                  = var.ai_vm_memory_mib
    ai_vm_disk_gib                    = var.ai_vm_disk_gib
    ai_address                        = var.ai_address
    ai_address_prefix                 = var.ai_address_prefix
    ai_gateway_address                = var.ai_gateway_address
    ai_ipv6_address                   = var.ai_ipv6_address
    ai_ipv6_prefix                    = var.ai_ipv6_prefix
    ai_ipv6_gateway_address           = var.ai_ipv6_gateway_address
    ai_name_servers                   = var.ai_name_servers
    ai_ssh_user                       = var.ai_ssh_user
    ai_ssh_key_file                   = var.ai_ssh_key_file
    ai_ssh_public_key_file            = var.ai_ssh_public_key_file
    ai_host_key                       = var.ai_host_key
    ai_ssh_wait_s                     = var.ai_ssh_wait_s
    ai_proxmox_node                   = var.ai_proxmox_node
    ai_proxmox_vm_id                  = var.ai_proxmox_vm_id
    ai_proxmox_storage                = var.ai_proxmox_storage
    ai_proxmox_image_storage          = var.ai_proxmox_image_storage
    ai_proxmox_bridge                 = var.ai_proxmox_bridge
    ai_proxmox_vlan                   = var.ai_proxmox_vlan
    ai_proxmox_pci_mapping            = var.ai_proxmox_pci_mapping
    ai_proxmox_pci_path               = var.ai_proxmox_pci_path
    ai_proxmox_pci_id                 = var.ai_proxmox_pci_id
    ai_image_url                      = var.ai_image_url
    ai_image_checksum                 = var.ai_image_checksum
    ai_digitalocean_region            = var.ai_digitalocean_region
    ai_digitalocean_size              = var.ai_digitalocean_size
    ai_digitalocean_image             = var.ai_digitalocean_image
    ai_cloudflare_zone                = var.ai_cloudflare_zone
    ai_cloudflare_record_id           = var.ai_cloudflare_record_id
    ai_cloudflare_ipv6_record_id      = var.ai_cloudflare_ipv6_record_id
    ai_dns_ttl_s                      = var.ai_dns_ttl_s
    ai_domain                         = var.ai_domain
    ai_tls                            = var.ai_tls
    ai_tls_certificate_file           = var.ai_tls_certificate_file
    ai_tls_key_file                   = var.ai_tls_key_file
    ai_acme_email                     = var.ai_acme_email
    ai_acme_directory                 = var.ai_acme_directory
    ai_cloudflare_token_file          = var.ai_cloudflare_token_file
    ai_dns_propagation_s              = var.ai_dns_propagation_s
    ai_allowed_networks               = var.ai_allowed_networks
    ai_firewall                       = var.ai_firewall
    ai_extra_ca_file                  = var.ai_extra_ca_file
    ai_github_owner                   = var.ai_github_owner
    ai_ghcr_token_file                = var.ai_ghcr_token_file
    ai_registry                       = var.ai_registry
    ai_version                        = var.ai_version
    ai_gateway_image                  = var.ai_gateway_image
    ai_whisper_api_image              = var.ai_whisper_api_image
    ai_ollama_image                   = var.ai_ollama_image
    ai_refresh_images                 = var.ai_refresh_images
    ai_accelerator                    = var.ai_accelerator
    ai_driver_branch                  = var.ai_driver_branch
    ai_driver_source                  = var.ai_driver_source
    ai_container_toolkit_version      = var.ai_container_toolkit_version
    ai_gpu_mode                       = var.ai_gpu_mode
    ai_reboot                         = var.ai_reboot
    ai_docker_source                  = var.ai_docker_source
    ai_repository_fingerprints        = var.ai_repository_fingerprints
    ai_whisper_model                  = var.ai_whisper_model
    ai_whisper_compute_type           = var.ai_whisper_compute_type
    ai_whisper_unload_after_s         = var.ai_whisper_unload_after_s
    ai_ollama_model                   = var.ai_ollama_model
    ai_ollama_extra_models            = var.ai_ollama_extra_models
    ai_huggingface_endpoint           = var.ai_huggingface_endpoint
    ai_huggingface_token_file         = var.ai_huggingface_token_file
    ai_api_keys_file                  = var.ai_api_keys_file
    ai_max_upload_mib                 = var.ai_max_upload_mib
    ai_max_json_mib                   = var.ai_max_json_mib
    ai_max_task_queue_size            = var.ai_max_task_queue_size
    ai_max_connections_per_address    = var.ai_max_connections_per_address
    ai_max_requests_per_s_per_address = var.ai_max_requests_per_s_per_address
    ai_upstream_connect_timeout_s     = var.ai_upstream_connect_timeout_s
    ai_upstream_first_byte_timeout_s  = var.ai_upstream_first_byte_timeout_s
    ai_upstream_idle_timeout_s        = var.ai_upstream_idle_timeout_s
    ai_gateway_memory_mib             = var.ai_gateway_memory_mib
    ai_whisper_api_memory_mib         = var.ai_whisper_api_memory_mib
    ai_ollama_memory_mib              = var.ai_ollama_memory_mib
    ai_pids_limit                     = var.ai_pids_limit
    ai_profiles                       = var.ai_profiles
    ai_grafana_port                   = var.ai_grafana_port
    ai_prometheus_image               = var.ai_prometheus_image
    ai_grafana_image                  = var.ai_grafana_image
    ai_node_exporter_image            = var.ai_node_exporter_image
    ai_gpu_exporter_image             = var.ai_gpu_exporter_image
    ai_old_api                        = var.ai_old_api
    ai_old_api_keyless                = var.ai_old_api_keyless
    ai_old_api_listeners              = var.ai_old_api_listeners
    ai_old_api_url                    = var.ai_old_api_url
    ai_backup_recipients              = var.ai_backup_recipients
    ai_backup_to                      = var.ai_backup_to
    ai_backup_at                      = var.ai_backup_at
    ai_backup_keep                    = var.ai_backup_keep
    ai_backup_s3_endpoint             = var.ai_backup_s3_endpoint
    ai_backup_s3_credentials_file     = var.ai_backup_s3_credentials_file
    ai_keep_data                      = var.ai_keep_data
  }

  given = {
    for name, host in var.ai_hosts :
    name => merge(local.common, { for key, value in host : key => value if value != null })
  }

  # Files by their whole path: what is called later has another working directory.
  hosts = {
    for name, host in local.given :
    name => merge(host, {
      for key, value in host : key => abspath(pathexpand(value)) if endswith(key, "_file") && value != null
    })
  }

  # What `ai deploy` is told of a host.
  settings = {
    for name, host in local.hosts :
    name => { for key, value in host : key => value if contains(local.setting_names, key) && value != null }
  }

  setting_names = [
    "ai_domain",
    "ai_tls",
    "ai_tls_certificate_file",
    "ai_tls_key_file",
    "ai_acme_email",
    "ai_acme_directory",
    "ai_cloudflare_token_file",
    "ai_dns_propagation_s",
    "ai_allowed_networks",
    "ai_firewall",
    "ai_extra_ca_file",
    "ai_github_owner",
    "ai_ghcr_token_file",
    "ai_registry",
    "ai_version",
    "ai_gateway_image",
    "ai_whisper_api_image",
    "ai_ollama_image",
    "ai_refresh_images",
    "ai_accelerator",
    "ai_driver_branch",
    "ai_driver_source",
    "ai_container_toolkit_version",
    "ai_gpu_mode",
    "ai_reboot",
    "ai_docker_source",
    "ai_repository_fingerprints",
    "ai_whisper_model",
    "ai_whisper_compute_type",
    "ai_whisper_unload_after_s",
    "ai_ollama_model",
    "ai_ollama_extra_models",
    "ai_huggingface_endpoint",
    "ai_huggingface_token_file",
    "ai_api_keys_file",
    "ai_max_upload_mib",
    "ai_max_json_mib",
    "ai_max_task_queue_size",
    "ai_max_connections_per_address",
    "ai_max_requests_per_s_per_address",
    "ai_upstream_connect_timeout_s",
    "ai_upstream_first_byte_timeout_s",
    "ai_upstream_idle_timeout_s",
    "ai_gateway_memory_mib",
    "ai_whisper_api_memory_mib",
    "ai_ollama_memory_mib",
    "ai_pids_limit",
    "ai_profiles",
    "ai_grafana_port",
    "ai_prometheus_image",
    "ai_grafana_image",
    "ai_node_exporter_image",
    "ai_gpu_exporter_image",
    "ai_old_api",
    "ai_old_api_keyless",
    "ai_old_api_listeners",
    "ai_old_api_url",
    "ai_backup_recipients",
    "ai_backup_to",
    "ai_backup_at",
    "ai_backup_keep",
    "ai_backup_s3_endpoint",
    "ai_backup_s3_credentials_file",
    "ai_keep_data",
  ]
}
