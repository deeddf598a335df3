# Made by `python -m ai_services.host.documents` from src/ai_services/host/terraform_tests.py; change that instead.

variables {
  ai_machine               = "existing_host"
  ai_dns                   = "none"
  ai_domain                = "ai.example.com"
  ai_address               = "192.0.2.1"
  ai_host_key              = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000"
  ai_github_owner          = "octo-org"
  ai_cloudflare_token_file = "tests/files/token"
}

run "ai_machine__form" {
  command = plan
  variables {
    ai_machine = "nonsense"
  }
  expect_failures = [var.ai_machine]
}

run "ai_dns__form" {
  command = plan
  variables {
    ai_dns = "nonsense"
  }
  expect_failures = [var.ai_dns]
}

run "ai_vm_cores__form" {
  command = plan
  variables {
    ai_vm_cores = 513
  }
  expect_failures = [var.ai_vm_cores]
}

run "ai_vm_memory_mib__form" {
  command = plan
  variables {
    ai_vm_memory_mib = 4194305
  }
  expect_failures = [var.ai_vm_memory_mib]
}

run "ai_vm_disk_gib__form" {
  command = plan
  variables {
    ai_vm_disk_gib = 65537
  }
  expect_failures = [var.ai_vm_disk_gib]
}

run "ai_address__form" {
  command = plan
  variables {
    ai_address = "300.1.2.3"
  }
  expect_failures = [var.ai_address]
}

run "ai_address__needed" {
  command = plan
  variables {
    ai_address = null
  }
  expect_failures = [var.ai_address]
}

run "ai_address__unused" {
  command = plan
  variables {
    ai_machine                 = "digitalocean_vm"
    ai_host_key                = null
    ai_address                 = "192.0.2.1"
    ai_ssh_public_key_file     = "tests/files/key.pub"
    ai_digitalocean_token_file = "tests/files/token"
    ai_allowed_networks        = ["203.0.113.0/24"]
  }
  expect_failures = [var.ai_address]
}

run "ai_address__unique" {
  command = plan
  variables {
    ai_hosts = { one = { ai_domain = "a.example.com" }, two = { ai_domain = "b.example.com" } }
  }
  expect_failures = [var.ai_address]
}

run "ai_address_prefix__form" {
  command = plan
  variables {
    ai_address_prefix = 129
  }
  expect_failures = [var.ai_address_prefix]
}

run "ai_address_prefix__too_long" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "192.0.2.254"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
    ai_address_prefix      = 64
  }
  expect_failures = [var.ai_address_prefix]
}

run "ai_gateway_address__form" {
  command = plan
  variables {
    ai_gateway_address = "300.1.2.3"
  }
  expect_failures = [var.ai_gateway_address]
}

run "ai_gateway_address__needed" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = null
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
  }
  expect_failures = [var.ai_gateway_address]
}

run "ai_gateway_address__other_family" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "2001:db8::1"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
  }
  expect_failures = [var.ai_gateway_address]
}

run "ai_gateway_address__elsewhere" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "192.0.3.1"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
  }
  expect_failures = [var.ai_gateway_address]
}

run "ai_ipv6_address__form" {
  command = plan
  variables {
    ai_ipv6_address = "192.0.2.1"
  }
  expect_failures = [var.ai_ipv6_address]
}

run "ai_ipv6_address__twice" {
  command = plan
  variables {
    ai_address      = "2001:db8::30"
    ai_ipv6_address = "2001:db8::31"
  }
  expect_failures = [var.ai_ipv6_address]
}

run "ai_ipv6_address__unused" {
  command = plan
  variables {
    ai_machine                 = "digitalocean_vm"
    ai_host_key                = null
    ai_address                 = null
    ai_ssh_public_key_file     = "tests/files/key.pub"
    ai_digitalocean_token_file = "tests/files/token"
    ai_allowed_networks        = ["203.0.113.0/24"]
    ai_ipv6_address            = "2001:db8::31"
  }
  expect_failures = [var.ai_ipv6_address]
}

run "ai_ipv6_address__unique" {
  command = plan
  variables {
    ai_hosts        = { one = { ai_domain = "one.example.com", ai_address = "192.0.2.11" }, two = { ai_domain = "two.example.com", ai_address = "192.0.2.12" } }
    ai_ipv6_address = "2001:db8::30"
  }
  expect_failures = [var.ai_ipv6_address]
}

run "ai_ipv6_prefix__form" {
  command = plan
  variables {
    ai_ipv6_prefix = 129
  }
  expect_failures = [var.ai_ipv6_prefix]
}

run "ai_ipv6_gateway_address__form" {
  command = plan
  variables {
    ai_ipv6_gateway_address = "192.0.2.1"
  }
  expect_failures = [var.ai_ipv6_gateway_address]
}

run "ai_name_servers__form" {
  command = plan
  variables {
    ai_name_servers = ["300.1.2.3"]
  }
  expect_failures = [var.ai_name_servers]
}

run "ai_ssh_user__form" {
  command = plan
  variables {
    ai_ssh_user = "? ?"
  }
  expect_failures = [var.ai_ssh_user]
}

run "ai_ssh_key_file__form" {
  command = plan
  variables {
    ai_ssh_key_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_ssh_key_file]
}

run "ai_ssh_public_key_file__form" {
  command = plan
  variables {
    ai_ssh_public_key_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_ssh_public_key_file]
}

run "ai_ssh_public_key_file__needed" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "192.0.2.254"
    ai_ssh_public_key_file = null
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
    ai_ssh_key_file        = "tests/files/other-key"
  }
  expect_failures = [var.ai_ssh_public_key_file]
}

run "ai_host_key__form" {
  command = plan
  variables {
    ai_host_key = "? ?"
  }
  expect_failures = [var.ai_host_key]
}

run "ai_host_key__needed" {
  command = plan
  variables {
    ai_host_key = null
  }
  expect_failures = [var.ai_host_key]
}

run "ai_host_key__unused" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000"
    ai_gateway_address     = "192.0.2.254"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = "tests/files/proxmox-token"
  }
  expect_failures = [var.ai_host_key]
}

run "ai_ssh_wait_s__form" {
  command = plan
  variables {
    ai_ssh_wait_s = 7201
  }
  expect_failures = [var.ai_ssh_wait_s]
}

run "ai_proxmox_endpoint__form" {
  command = plan
  variables {
    ai_proxmox_endpoint = "ftp://example.com"
  }
  expect_failures = [var.ai_proxmox_endpoint]
}

run "ai_proxmox_endpoint__needed" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "192.0.2.254"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = null
    ai_proxmox_token_file  = "tests/files/proxmox-token"
  }
  expect_failures = [var.ai_proxmox_endpoint, output.ai_hosts]
}

run "ai_proxmox_token_file__form" {
  command = plan
  variables {
    ai_proxmox_token_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_proxmox_token_file]
}

run "ai_proxmox_token_file__needed" {
  command = plan
  variables {
    ai_machine             = "proxmox_vm"
    ai_host_key            = null
    ai_gateway_address     = "192.0.2.254"
    ai_ssh_public_key_file = "tests/files/key.pub"
    ai_proxmox_endpoint    = "https://pve.example.com:8006/"
    ai_proxmox_token_file  = null
  }
  expect_failures = [var.ai_proxmox_token_file, output.ai_hosts]
}

run "ai_proxmox_node__form" {
  command = plan
  variables {
    ai_proxmox_node = "? ?"
  }
  expect_failures = [var.ai_proxmox_node]
}

run "ai_proxmox_vm_id__form" {
  command = plan
  variables {
    ai_proxmox_vm_id = 1000000000
  }
  expect_failures = [var.ai_proxmox_vm_id]
}

run "ai_proxmox_vm_id__unique" {
  command = plan
  variables {
    ai_hosts         = { one = { ai_domain = "one.example.com", ai_address = "192.0.2.11" }, two = { ai_domain = "two.example.com", ai_address = "192.0.2.12" } }
    ai_proxmox_vm_id = 120
  }
  expect_failures = [var.ai_proxmox_vm_id]
}

run "ai_proxmox_storage__form" {
  command = plan
  variables {
    ai_proxmox_storage = "? ?"
  }
  expect_failures = [var.ai_proxmox_storage]
}

run "ai_proxmox_image_storage__form" {
  command = plan
  variables {
    ai_proxmox_image_storage = "? ?"
  }
  expect_failures = [var.ai_proxmox_image_storage]
}

run "ai_proxmox_bridge__form" {
  command = plan
  variables {
    ai_proxmox_bridge = "? ?"
  }
  expect_failures = [var.ai_proxmox_bridge]
}

run "ai_proxmox_vlan__form" {
  command = plan
  variables {
    ai_proxmox_vlan = 4095
  }
  expect_failures = [var.ai_proxmox_vlan]
}

run "ai_proxmox_pci_mapping__form" {
  command = plan
  variables {
    ai_proxmox_pci_mapping = "? ?"
  }
  expect_failures = [var.ai_proxmox_pci_mapping]
}

run "ai_proxmox_pci_mapping__needed" {
  command = plan
  variables {
    ai_proxmox_pci_path = "0000:01:00"
    ai_proxmox_pci_id   = "10de:13f1"
  }
  expect_failures = [var.ai_proxmox_pci_mapping]
}

run "ai_proxmox_pci_path__form" {
  command = plan
  variables {
    ai_proxmox_pci_path = "? ?"
  }
  expect_failures = [var.ai_proxmox_pci_path]
}

run "ai_proxmox_pci_path__unique" {
  command = plan
  variables {
    ai_hosts               = { one = { ai_domain = "one.example.com", ai_address = "192.0.2.11" }, two = { ai_domain = "two.example.com", ai_address = "192.0.2.12" } }
    ai_proxmox_pci_path    = "0000:01:00"
    ai_proxmox_pci_id      = "10de:13f1"
    ai_proxmox_pci_mapping = "gpu0"
  }
  expect_failures = [var.ai_proxmox_pci_path]
}

run "ai_proxmox_pci_id__form" {
  command = plan
  variables {
    ai_proxmox_pci_id = "? ?"
  }
  expect_failures = [var.ai_proxmox_pci_id]
}

run "ai_proxmox_pci_id__needed" {
  command = plan
  variables {
    ai_proxmox_pci_mapping = "gpu0"
    ai_proxmox_pci_path    = "0000:01:00"
  }
  expect_failures = [var.ai_proxmox_pci_id]
}

run "ai_image_url__form" {
  command = plan
  variables {
    ai_image_url = "ftp://example.com"
  }
  expect_failures = [var.ai_image_url]
}

run "ai_image_checksum__form" {
  command = plan
  variables {
    ai_image_checksum = "? ?"
  }
  expect_failures = [var.ai_image_checksum]
}

run "ai_digitalocean_token_file__form" {
  command = plan
  variables {
    ai_digitalocean_token_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_digitalocean_token_file]
}

run "ai_digitalocean_token_file__needed" {
  command = plan
  variables {
    ai_machine                 = "digitalocean_vm"
    ai_host_key                = null
    ai_address                 = null
    ai_ssh_public_key_file     = "tests/files/key.pub"
    ai_digitalocean_token_file = null
    ai_allowed_networks        = ["203.0.113.0/24"]
  }
  expect_failures = [var.ai_digitalocean_token_file, output.ai_hosts]
}

run "ai_digitalocean_region__form" {
  command = plan
  variables {
    ai_digitalocean_region = "? ?"
  }
  expect_failures = [var.ai_digitalocean_region]
}

run "ai_digitalocean_size__form" {
  command = plan
  variables {
    ai_digitalocean_size = "? ?"
  }
  expect_failures = [var.ai_digitalocean_size]
}

run "ai_digitalocean_image__form" {
  command = plan
  variables {
    ai_digitalocean_image = "? ?"
  }
  expect_failures = [var.ai_digitalocean_image]
}

run "ai_cloudflare_zone__form" {
  command = plan
  variables {
    ai_cloudflare_zone = "192.0.2.1"
  }
  expect_failures = [var.ai_cloudflare_zone]
}

run "ai_cloudflare_zone__needed" {
  command = plan
  variables {
    ai_dns             = "cloudflare_record"
    ai_cloudflare_zone = null
  }
  expect_failures = [var.ai_cloudflare_zone]
}

run "ai_cloudflare_zone__elsewhere" {
  command = plan
  variables {
    ai_dns             = "cloudflare_record"
    ai_cloudflare_zone = "xample.com"
  }
  expect_failures = [var.ai_cloudflare_zone]
}

run "ai_cloudflare_record_id__form" {
  command = plan
  variables {
    ai_cloudflare_record_id = "? ?"
  }
  expect_failures = [var.ai_cloudflare_record_id]
}

run "ai_cloudflare_record_id__unique" {
  command = plan
  variables {
    ai_hosts                = { one = { ai_domain = "one.example.com", ai_address = "192.0.2.11" }, two = { ai_domain = "two.example.com", ai_address = "192.0.2.12" } }
    ai_cloudflare_record_id = "00000000000000000000000000000000"
  }
  expect_failures = [var.ai_cloudflare_record_id]
}

run "ai_cloudflare_ipv6_record_id__form" {
  command = plan
  variables {
    ai_cloudflare_ipv6_record_id = "? ?"
  }
  expect_failures = [var.ai_cloudflare_ipv6_record_id]
}

run "ai_cloudflare_ipv6_record_id__unused" {
  command = plan
  variables {
    ai_cloudflare_ipv6_record_id = "00000000000000000000000000000000"
  }
  expect_failures = [var.ai_cloudflare_ipv6_record_id]
}

run "ai_dns_ttl_s__form" {
  command = plan
  variables {
    ai_dns_ttl_s = 86401
  }
  expect_failures = [var.ai_dns_ttl_s]
}
