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

run "ai_hosts__ai_old_api" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_old_api = ["nonsense"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_old_api_listeners" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_old_api_listeners = ["? ?"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_old_api_url" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_old_api_url = "ftp://example.com" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_recipients" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_recipients = ["? ?"] } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_to" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_to = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_at" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_at = "? ?" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_keep" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_keep = 100001 } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_s3_endpoint" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_s3_endpoint = "ftp://example.com" } }
  }
  expect_failures = [var.ai_hosts]
}

run "ai_hosts__ai_backup_s3_credentials_file" {
  command = plan
  variables {
    ai_hosts = { ai = { ai_backup_s3_credentials_file = "tests/files/not-there" } }
  }
  expect_failures = [var.ai_hosts]
}
