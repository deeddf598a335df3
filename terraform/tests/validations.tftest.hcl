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
    ai_ipv6_address            = "2001:db8::31"
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

run "ai_domain__form" {
  command = plan
  variables {
    ai_domain = "192.0.2.1"
  }
  expect_failures = [var.ai_domain]
}

run "ai_domain__needed" {
  command = plan
  variables {
    ai_domain = null
  }
  expect_failures = [var.ai_domain]
}

run "ai_domain__unique" {
  command = plan
  variables {
    ai_hosts = { one = { ai_address = "192.0.2.1" }, two = { ai_address = "192.0.2.2" } }
  }
  expect_failures = [var.ai_domain]
}

run "ai_tls__form" {
  command = plan
  variables {
    ai_tls = "nonsense"
  }
  expect_failures = [var.ai_tls]
}

run "ai_tls_certificate_file__form" {
  command = plan
  variables {
    ai_tls_certificate_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_tls_certificate_file]
}

run "ai_tls_certificate_file__needed" {
  command = plan
  variables {
    ai_tls                  = "own"
    ai_tls_certificate_file = null
    ai_tls_key_file         = "tests/files/key"
  }
  expect_failures = [var.ai_tls_certificate_file]
}

run "ai_tls_certificate_file__unused" {
  command = plan
  variables {
    ai_tls_certificate_file = "tests/files/certificate.pem"
  }
  expect_failures = [var.ai_tls_certificate_file]
}

run "ai_tls_key_file__form" {
  command = plan
  variables {
    ai_tls_key_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_tls_key_file]
}

run "ai_tls_key_file__needed" {
  command = plan
  variables {
    ai_tls                  = "own"
    ai_tls_certificate_file = "tests/files/certificate.pem"
    ai_tls_key_file         = null
  }
  expect_failures = [var.ai_tls_key_file]
}

run "ai_tls_key_file__unused" {
  command = plan
  variables {
    ai_tls_key_file = "tests/files/key"
  }
  expect_failures = [var.ai_tls_key_file]
}

run "ai_acme_email__form" {
  command = plan
  variables {
    ai_acme_email = "? ?"
  }
  expect_failures = [var.ai_acme_email]
}

run "ai_acme_directory__form" {
  command = plan
  variables {
    ai_acme_directory = "ftp://example.com"
  }
  expect_failures = [var.ai_acme_directory]
}

run "ai_cloudflare_token_file__form" {
  command = plan
  variables {
    ai_cloudflare_token_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_cloudflare_token_file]
}

run "ai_cloudflare_token_file__needed" {
  command = plan
  variables {
    ai_cloudflare_token_file = null
  }
  expect_failures = [var.ai_cloudflare_token_file]
}

run "ai_dns_propagation_s__form" {
  command = plan
  variables {
    ai_dns_propagation_s = 3601
  }
  expect_failures = [var.ai_dns_propagation_s]
}

run "ai_allowed_networks__form" {
  command = plan
  variables {
    ai_allowed_networks = ["10.1.2.3/8"]
  }
  expect_failures = [var.ai_allowed_networks]
}

run "ai_allowed_networks__open_in_the_clear" {
  command = plan
  variables {
    ai_tls              = "off"
    ai_allowed_networks = ["any"]
  }
  expect_failures = [var.ai_allowed_networks]
}

run "ai_firewall__form" {
  command = plan
  variables {
    ai_firewall = "nonsense"
  }
  expect_failures = [var.ai_firewall]
}

run "ai_extra_ca_file__form" {
  command = plan
  variables {
    ai_extra_ca_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_extra_ca_file]
}

run "ai_github_owner__form" {
  command = plan
  variables {
    ai_github_owner = "? ?"
  }
  expect_failures = [var.ai_github_owner]
}

run "ai_github_owner__needed" {
  command = plan
  variables {
    ai_github_owner = null
  }
  expect_failures = [var.ai_github_owner]
}

run "ai_ghcr_token__form" {
  command = plan
  variables {
    ai_ghcr_token = "? ?"
  }
  expect_failures = [var.ai_ghcr_token]
}

run "ai_ghcr_token__twice" {
  command = plan
  variables {
    ai_ghcr_token      = "not-a-token"
    ai_ghcr_token_file = "tests/files/token"
  }
  expect_failures = [var.ai_ghcr_token]
}

run "ai_ghcr_token_file__form" {
  command = plan
  variables {
    ai_ghcr_token_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_ghcr_token_file]
}

run "ai_registry__form" {
  command = plan
  variables {
    ai_registry = "? ?"
  }
  expect_failures = [var.ai_registry]
}

run "ai_version__form" {
  command = plan
  variables {
    ai_version = "? ?"
  }
  expect_failures = [var.ai_version]
}

run "ai_gateway_image__form" {
  command = plan
  variables {
    ai_gateway_image = "? ?"
  }
  expect_failures = [var.ai_gateway_image]
}

run "ai_whisper_api_image__form" {
  command = plan
  variables {
    ai_whisper_api_image = "? ?"
  }
  expect_failures = [var.ai_whisper_api_image]
}

run "ai_ollama_image__form" {
  command = plan
  variables {
    ai_ollama_image = "? ?"
  }
  expect_failures = [var.ai_ollama_image]
}

run "ai_accelerator__form" {
  command = plan
  variables {
    ai_accelerator = "nonsense"
  }
  expect_failures = [var.ai_accelerator]
}

run "ai_driver_branch__form" {
  command = plan
  variables {
    ai_driver_branch = "449"
  }
  expect_failures = [var.ai_driver_branch]
}

run "ai_driver_source__form" {
  command = plan
  variables {
    ai_driver_source = "nonsense"
  }
  expect_failures = [var.ai_driver_source]
}

run "ai_container_toolkit_version__form" {
  command = plan
  variables {
    ai_container_toolkit_version = "? ?"
  }
  expect_failures = [var.ai_container_toolkit_version]
}

run "ai_gpu_mode__form" {
  command = plan
  variables {
    ai_gpu_mode = "nonsense"
  }
  expect_failures = [var.ai_gpu_mode]
}

run "ai_reboot__form" {
  command = plan
  variables {
    ai_reboot = "nonsense"
  }
  expect_failures = [var.ai_reboot]
}

run "ai_docker_source__form" {
  command = plan
  variables {
    ai_docker_source = "nonsense"
  }
  expect_failures = [var.ai_docker_source]
}

run "ai_repository_fingerprints__form" {
  command = plan
  variables {
    ai_repository_fingerprints = ["? ?"]
  }
  expect_failures = [var.ai_repository_fingerprints]
}

run "ai_whisper_model__form" {
  command = plan
  variables {
    ai_whisper_model = "? ?"
  }
  expect_failures = [var.ai_whisper_model]
}

run "ai_whisper_compute_type__form" {
  command = plan
  variables {
    ai_whisper_compute_type = "nonsense"
  }
  expect_failures = [var.ai_whisper_compute_type]
}

run "ai_whisper_unload_after_s__form" {
  command = plan
  variables {
    ai_whisper_unload_after_s = 2592001
  }
  expect_failures = [var.ai_whisper_unload_after_s]
}

run "ai_ollama_model__form" {
  command = plan
  variables {
    ai_ollama_model = "? ?"
  }
  expect_failures = [var.ai_ollama_model]
}

run "ai_ollama_extra_models__form" {
  command = plan
  variables {
    ai_ollama_extra_models = ["? ?"]
  }
  expect_failures = [var.ai_ollama_extra_models]
}

run "ai_huggingface_endpoint__form" {
  command = plan
  variables {
    ai_huggingface_endpoint = "ftp://example.com"
  }
  expect_failures = [var.ai_huggingface_endpoint]
}

run "ai_huggingface_token_file__form" {
  command = plan
  variables {
    ai_huggingface_token_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_huggingface_token_file]
}

run "ai_api_keys_file__form" {
  command = plan
  variables {
    ai_api_keys_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_api_keys_file]
}

run "ai_max_upload_mib__form" {
  command = plan
  variables {
    ai_max_upload_mib = 1048577
  }
  expect_failures = [var.ai_max_upload_mib]
}

run "ai_max_json_mib__form" {
  command = plan
  variables {
    ai_max_json_mib = 1025
  }
  expect_failures = [var.ai_max_json_mib]
}

run "ai_max_task_queue_size__form" {
  command = plan
  variables {
    ai_max_task_queue_size = 100001
  }
  expect_failures = [var.ai_max_task_queue_size]
}

run "ai_max_connections_per_address__form" {
  command = plan
  variables {
    ai_max_connections_per_address = 100001
  }
  expect_failures = [var.ai_max_connections_per_address]
}

run "ai_max_requests_per_s_per_address__form" {
  command = plan
  variables {
    ai_max_requests_per_s_per_address = 100001
  }
  expect_failures = [var.ai_max_requests_per_s_per_address]
}

run "ai_upstream_connect_timeout_s__form" {
  command = plan
  variables {
    ai_upstream_connect_timeout_s = 301
  }
  expect_failures = [var.ai_upstream_connect_timeout_s]
}

run "ai_upstream_first_byte_timeout_s__form" {
  command = plan
  variables {
    ai_upstream_first_byte_timeout_s = 86401
  }
  expect_failures = [var.ai_upstream_first_byte_timeout_s]
}

run "ai_upstream_idle_timeout_s__form" {
  command = plan
  variables {
    ai_upstream_idle_timeout_s = 86401
  }
  expect_failures = [var.ai_upstream_idle_timeout_s]
}

run "ai_gateway_memory_mib__form" {
  command = plan
  variables {
    ai_gateway_memory_mib = 4194305
  }
  expect_failures = [var.ai_gateway_memory_mib]
}

run "ai_whisper_api_memory_mib__form" {
  command = plan
  variables {
    ai_whisper_api_memory_mib = 4194305
  }
  expect_failures = [var.ai_whisper_api_memory_mib]
}

run "ai_ollama_memory_mib__form" {
  command = plan
  variables {
    ai_ollama_memory_mib = 4194305
  }
  expect_failures = [var.ai_ollama_memory_mib]
}

run "ai_pids_limit__form" {
  command = plan
  variables {
    ai_pids_limit = 1048577
  }
  expect_failures = [var.ai_pids_limit]
}

run "ai_profiles__form" {
  command = plan
  variables {
    ai_profiles = ["nonsense"]
  }
  expect_failures = [var.ai_profiles]
}

run "ai_grafana_port__form" {
  command = plan
  variables {
    ai_grafana_port = 65536
  }
  expect_failures = [var.ai_grafana_port]
}

run "ai_prometheus_image__form" {
  command = plan
  variables {
    ai_prometheus_image = "? ?"
  }
  expect_failures = [var.ai_prometheus_image]
}

run "ai_grafana_image__form" {
  command = plan
  variables {
    ai_grafana_image = "? ?"
  }
  expect_failures = [var.ai_grafana_image]
}

run "ai_node_exporter_image__form" {
  command = plan
  variables {
    ai_node_exporter_image = "? ?"
  }
  expect_failures = [var.ai_node_exporter_image]
}

run "ai_gpu_exporter_image__form" {
  command = plan
  variables {
    ai_gpu_exporter_image = "? ?"
  }
  expect_failures = [var.ai_gpu_exporter_image]
}

run "ai_hosts__some" {
  command = plan
  variables {
    ai_hosts = {}
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__names" {
  command = plan
  variables {
    ai_hosts = { Not_A_Name = {} }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_machine" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_machine = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_dns" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_dns = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_vm_cores" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_vm_cores = 513 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_vm_memory_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_vm_memory_mib = 4194305 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_vm_disk_gib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_vm_disk_gib = 65537 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_address = "300.1.2.3" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_address_prefix" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_address_prefix = 129 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_gateway_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_gateway_address = "300.1.2.3" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ipv6_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ipv6_address = "192.0.2.1" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ipv6_prefix" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ipv6_prefix = 129 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ipv6_gateway_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ipv6_gateway_address = "192.0.2.1" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_name_servers" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_name_servers = ["300.1.2.3"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ssh_user" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ssh_user = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ssh_key_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ssh_key_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ssh_public_key_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ssh_public_key_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_host_key" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_host_key = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ssh_wait_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ssh_wait_s = 7201 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_node" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_node = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_vm_id" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_vm_id = 1000000000 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_storage" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_storage = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_image_storage" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_image_storage = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_bridge" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_bridge = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_vlan" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_vlan = 4095 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_pci_mapping" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_pci_mapping = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_pci_path" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_pci_path = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_proxmox_pci_id" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_proxmox_pci_id = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_image_url" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_image_url = "ftp://example.com" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_image_checksum" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_image_checksum = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_digitalocean_region" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_digitalocean_region = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_digitalocean_size" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_digitalocean_size = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_digitalocean_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_digitalocean_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_cloudflare_zone" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_cloudflare_zone = "192.0.2.1" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_cloudflare_record_id" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_cloudflare_record_id = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_cloudflare_ipv6_record_id" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_cloudflare_ipv6_record_id = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_dns_ttl_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_dns_ttl_s = 86401 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_domain" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_domain = "192.0.2.1" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_tls" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_tls = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_tls_certificate_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_tls_certificate_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_tls_key_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_tls_key_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_acme_email" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_acme_email = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_acme_directory" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_acme_directory = "ftp://example.com" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_cloudflare_token_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_cloudflare_token_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_dns_propagation_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_dns_propagation_s = 3601 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_allowed_networks" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_allowed_networks = ["10.1.2.3/8"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_firewall" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_firewall = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_extra_ca_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_extra_ca_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_github_owner" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_github_owner = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ghcr_token_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ghcr_token_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_registry" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_registry = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_version" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_version = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_gateway_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_gateway_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_whisper_api_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_whisper_api_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ollama_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ollama_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_accelerator" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_accelerator = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_driver_branch" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_driver_branch = "449" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_driver_source" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_driver_source = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_container_toolkit_version" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_container_toolkit_version = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_gpu_mode" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_gpu_mode = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_reboot" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_reboot = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_docker_source" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_docker_source = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_repository_fingerprints" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_repository_fingerprints = ["? ?"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_whisper_model" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_whisper_model = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_whisper_compute_type" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_whisper_compute_type = "nonsense" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_whisper_unload_after_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_whisper_unload_after_s = 2592001 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ollama_model" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ollama_model = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ollama_extra_models" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ollama_extra_models = ["? ?"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_huggingface_endpoint" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_huggingface_endpoint = "ftp://example.com" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_huggingface_token_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_huggingface_token_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_api_keys_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_api_keys_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_max_upload_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_max_upload_mib = 1048577 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_max_json_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_max_json_mib = 1025 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_max_task_queue_size" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_max_task_queue_size = 100001 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_max_connections_per_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_max_connections_per_address = 100001 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_max_requests_per_s_per_address" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_max_requests_per_s_per_address = 100001 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_upstream_connect_timeout_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_upstream_connect_timeout_s = 301 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_upstream_first_byte_timeout_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_upstream_first_byte_timeout_s = 86401 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_upstream_idle_timeout_s" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_upstream_idle_timeout_s = 86401 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_gateway_memory_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_gateway_memory_mib = 4194305 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_whisper_api_memory_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_whisper_api_memory_mib = 4194305 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_ollama_memory_mib" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_ollama_memory_mib = 4194305 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_pids_limit" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_pids_limit = 1048577 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_profiles" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_profiles = ["nonsense"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_grafana_port" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_grafana_port = 65536 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_prometheus_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_prometheus_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_grafana_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_grafana_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_node_exporter_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_node_exporter_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_gpu_exporter_image" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_gpu_exporter_image = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}
