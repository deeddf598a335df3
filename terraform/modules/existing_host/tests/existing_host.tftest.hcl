# A host that is there already. Plans only, and no provider.
variables {
  name          = "gpu-1"
  address       = "192.0.2.30"
  user          = "deployer"
  host_key      = "ssh-ed25519 AAAA host\n"
  settings_json = "{}"
}

run "it_stands_behind_the_same_words_as_a_new_machine" {
  command = plan

  assert {
    condition     = output.machine.address == "192.0.2.30" && output.machine.user == "deployer" && output.machine.host_key == "ssh-ed25519 AAAA host"
    error_message = "Address, user and the key it must show."
  }
}

run "its_end_needs_nothing_but_what_is_remembered" {
  command = plan

  assert {
    condition     = terraform_data.host.input.login == "deployer@192.0.2.30" && strcontains(terraform_data.host.input.command, "ai.sh destroy")
    error_message = "What was deployed is taken off when the host goes."
  }
}
