# What is said of a host that is deployed to. Plans only: nobody is called.
variables {
  name       = "gpu-1"
  machine_id = "machine-1"
  machine = {
    address  = "192.0.2.30"
    user     = "deployer"
    host_key = "ssh-ed25519 AAAA"
  }
  settings_json = "{\"ai_domain\":\"ai.example.com\",\"ai_tls\":\"letsencrypt\"}"
}

run "where_it_is_and_how_to_log_in" {
  command = plan

  assert {
    condition     = output.url == "https://ai.example.com" && output.ssh == "ssh deployer@192.0.2.30" && output.key == "/opt/ai/secrets/api.key"
    error_message = "URL, login and the place of the keys are told."
  }
}

run "plain_http_says_so" {
  command = plan
  variables {
    settings_json = "{\"ai_domain\":\"ai.example.com\",\"ai_tls\":\"off\"}"
  }

  assert {
    condition     = output.url == "http://ai.example.com"
    error_message = "Without a certificate the URL is http."
  }
}

run "a_token_is_not_in_the_plan" {
  command = plan
  variables {
    ghcr_token = "ghp_canary00"
  }

  assert {
    condition     = !strcontains(jsonencode(terraform_data.deployment.triggers_replace), "canary") && !strcontains(jsonencode(terraform_data.deployment.input), "canary")
    error_message = "What is ephemeral is in nothing that is kept."
  }
}

run "it_is_protected_unless_that_is_lifted" {
  command = plan

  assert {
    condition     = terraform_data.guard.input.protected
    error_message = "Data is protected by default."
  }
}

run "one_variable_lifts_it" {
  command = plan
  variables {
    protected = false
  }

  assert {
    condition     = !terraform_data.guard.input.protected
    error_message = "The guard does what it is told."
  }
}
