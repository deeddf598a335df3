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

run "ai_allowed_networks__nobody" {
  command = plan
  variables {
    ai_machine                 = "digitalocean_vm"
    ai_host_key                = null
    ai_address                 = null
    ai_ssh_public_key_file     = "tests/files/key.pub"
    ai_digitalocean_token_file = "tests/files/token"
    ai_allowed_networks        = ["10.0.0.0/8"]
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

run "ai_old_api__form" {
  command = plan
  variables {
    ai_old_api = ["nonsense"]
  }
  expect_failures = [var.ai_old_api]
}

run "ai_old_api_listeners__form" {
  command = plan
  variables {
    ai_old_api_listeners = ["? ?"]
  }
  expect_failures = [var.ai_old_api_listeners]
}

run "ai_old_api_url__form" {
  command = plan
  variables {
    ai_old_api_url = "ftp://example.com"
  }
  expect_failures = [var.ai_old_api_url]
}

run "ai_backup_recipients__form" {
  command = plan
  variables {
    ai_backup_recipients = ["? ?"]
  }
  expect_failures = [var.ai_backup_recipients]
}

run "ai_backup_to__form" {
  command = plan
  variables {
    ai_backup_to = "? ?"
  }
  expect_failures = [var.ai_backup_to]
}

run "ai_backup_at__form" {
  command = plan
  variables {
    ai_backup_at = "? ?"
  }
  expect_failures = [var.ai_backup_at]
}

run "ai_backup_keep__form" {
  command = plan
  variables {
    ai_backup_keep = 100001
  }
  expect_failures = [var.ai_backup_keep]
}

run "ai_backup_s3_endpoint__form" {
  command = plan
  variables {
    ai_backup_s3_endpoint = "ftp://example.com"
  }
  expect_failures = [var.ai_backup_s3_endpoint]
}

run "ai_backup_s3_credentials_file__form" {
  command = plan
  variables {
    ai_backup_s3_credentials_file = "tests/files/not-there"
  }
  expect_failures = [var.ai_backup_s3_credentials_file]
}
