# What each host has after all, and what is said of it. Nothing is made: plans only, and no provider.

variables {
  ai_machine               = "existing_host"
  ai_dns                   = "none"
  ai_domain                = "ai.example.com"
  ai_address               = "192.0.2.1"
  ai_host_key              = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000"
  ai_github_owner          = "octo-org"
  ai_cloudflare_token_file = "tests/files/token"
}

run "one_host_from_the_single_variables" {
  command = plan

  assert {
    condition     = join(" ", keys(output.ai_hosts)) == "ai"
    error_message = "Without ai_hosts there is one host, called ai."
  }
  assert {
    condition = output.ai_hosts.ai == {
      url      = "https://ai.example.com"
      address  = "192.0.2.1"
      user     = "deployer"
      host_key = var.ai_host_key
      ssh      = "ssh deployer@192.0.2.1"
      key      = "/opt/ai/secrets/api.key"
    }
    error_message = "The output says where it is, how to log in, and where the key is."
  }
  assert {
    condition     = local.settings.ai.ai_ollama_model == "qwen2.5:3b" && !contains(keys(local.settings.ai), "ai_machine")
    error_message = "`ai deploy` is told the host's settings with their defaults, and nothing of the machine."
  }
  assert {
    condition     = local.settings.ai.ai_cloudflare_token_file == abspath("tests/files/token")
    error_message = "Files are told by their whole path."
  }
}

run "the_seeds_variables" {
  command = plan
  variables {
    ai_github_owner = "your-username"
    ai_ghcr_token   = "ghp_xxxx"
    ai_ollama_model = "qwen2.5:1.5b"
  }

  assert {
    condition     = local.settings.ai.ai_github_owner == "your-username" && local.settings.ai.ai_ollama_model == "qwen2.5:1.5b"
    error_message = "The seed's variables reach the host."
  }
  assert {
    condition     = !strcontains(jsonencode(local.settings), "ghp_") && !strcontains(jsonencode(local.settings), "ai_ghcr_token\"")
    error_message = "A token is no setting: it would come into the state."
  }
}

run "several_hosts_each_with_its_own" {
  command = plan
  variables {
    ai_domain  = null
    ai_address = null
    ai_hosts = {
      one = { ai_domain = "one.example.com", ai_address = "192.0.2.11" }
      two = {
        ai_domain           = "two.example.com"
        ai_address          = "2001:db8::12"
        ai_host_key         = "SHA256:0000000000000000000000000000000000000000000"
        ai_ssh_user         = "root"
        ai_ssh_key_file     = "tests/files/key"
        ai_tls              = "off"
        ai_allowed_networks = ["192.0.2.0/24"]
        ai_profiles         = ["monitoring"]
        ai_keep_data        = false
      }
    }
  }

  assert {
    condition     = output.ai_hosts.one.url == "https://one.example.com" && output.ai_hosts.two.url == "http://two.example.com"
    error_message = "Each host has its own name and certificate."
  }
  assert {
    condition     = output.ai_hosts.two.ssh == "ssh -i ${abspath("tests/files/key")} root@2001:db8::12"
    error_message = "Each host has its own way in."
  }
  assert {
    condition     = local.settings.one.ai_keep_data && !local.settings.two.ai_keep_data
    error_message = "A value that is false is a value."
  }
  assert {
    condition     = length(local.settings.one.ai_profiles) == 0 && join(" ", local.settings.two.ai_profiles) == "monitoring"
    error_message = "What a host does not say comes from the single variable."
  }
}

run "without_a_name_the_address_is_the_url" {
  command = plan
  variables {
    ai_domain  = null
    ai_tls     = "off"
    ai_address = "2001:db8::30"
  }

  assert {
    condition     = output.ai_hosts.ai.url == "http://[2001:db8::30]"
    error_message = "An IPv6 address stands in brackets."
  }
}

run "a_kind_that_is_not_switched_on" {
  command = plan
  variables {
    ai_dns             = "cloudflare_record"
    ai_cloudflare_zone = "example.com"
  }
  expect_failures = [output.ai_hosts]
}

run "networks_and_addresses_as_people_write_them" {
  command = plan
  variables {
    ai_domain           = "AI.Example.COM."
    ai_allowed_networks = ["192.168.20.0/24", "10.1.2.3", "fd00::/8", "2001:DB8::/32"]
    ai_driver_branch    = "580"
  }

  assert {
    condition     = length(local.settings.ai.ai_allowed_networks) == 4
    error_message = "Networks of both families, and single addresses, are right."
  }
}

run "everybody" {
  command = plan
  variables {
    ai_allowed_networks = ["any"]
  }

  assert {
    condition     = join(" ", local.settings.ai.ai_allowed_networks) == "any"
    error_message = "any stands for everybody."
  }
}
