# What the first boot is told. Plans only: no key is made.
variables {
  name       = "gpu-1"
  user       = "deployer"
  public_key = "ssh-ed25519 AAAA somebody\n"
}

run "the_user_is_let_in_by_key_alone" {
  command = plan

  assert {
    condition     = yamldecode(local.user_data).users[0].name == "deployer" && yamldecode(local.user_data).users[0].ssh_authorized_keys[0] == "ssh-ed25519 AAAA somebody"
    error_message = "The user has the public key."
  }
  assert {
    condition     = !yamldecode(local.user_data).ssh_pwauth && yamldecode(local.user_data).disable_root && yamldecode(local.user_data).users[0].lock_passwd
    error_message = "No password opens it, and root does not log in."
  }
  assert {
    condition     = yamldecode(local.user_data).ssh_deletekeys && contains(keys(yamldecode(local.user_data)), "ssh_keys")
    error_message = "It shows no key but the one made for it."
  }
}

run "terraform_sees_no_private_key" {
  command = plan

  assert {
    condition     = strcontains(local.user_data, "@FIRST_CONTACT_KEY@") && !strcontains(local.user_data, "PRIVATE KEY")
    error_message = "The key is put in its place by keys.sh, outside of Terraform."
  }
}

run "root_may_be_the_user" {
  command = plan
  variables {
    user = "root"
  }

  assert {
    condition     = !yamldecode(local.user_data).disable_root
    error_message = "Whoever asks for root gets in as root."
  }
}

run "words_are_words_whatever_is_in_them" {
  command = plan
  variables {
    public_key = "ssh-ed25519 AAAA it's: \"me\" # {x}"
  }

  assert {
    condition     = yamldecode(local.user_data).users[0].ssh_authorized_keys[0] == "ssh-ed25519 AAAA it's: \"me\" # {x}"
    error_message = "A key's comment may hold anything."
  }
}
