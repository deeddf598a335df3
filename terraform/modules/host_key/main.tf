# The SSH key by which a new machine is known, pinned before the machine exists.
#
# Two keys are made on the operator's machine, in files of this user only. The first-contact key goes to the machine
# with cloud-init; whoever reads the hypervisor's or the cloud's copy of that can read it too. Over a connection that
# is bound to exactly that key the machine then gets its lasting key (contact.sh), which was never anywhere else, and
# both private halves are deleted here. Only the lasting key's public half is in the state.
terraform {
  required_version = ">= 1.11"
}

locals {
  templates = "${path.module}/../../../bootstrap/ai/cloud-init"
  user_data = templatefile("${local.templates}/user-data.tftpl", {
    hostname   = var.name
    user       = var.user
    public_key = trimspace(var.public_key)
  })
  meta_data = templatefile("${local.templates}/meta-data.tftpl", { hostname = var.name })
}

resource "terraform_data" "keys" {
  input = { folder = "${path.root}/.hosts/${var.name}" }
  # cloud-init does its work once: another user, key or address means another machine.
  triggers_replace = [local.user_data, var.network_config]

  provisioner "local-exec" {
    command = "sh ${path.module}/keys.sh"
    environment = {
      AI_FOLDER         = self.input.folder
      AI_SEED           = "${path.module}/seed.py"
      AI_USER_DATA      = local.user_data
      AI_META_DATA      = local.meta_data
      AI_NETWORK_CONFIG = var.network_config
    }
  }
}

resource "terraform_data" "host_key" {
  # The file is there when the keys are made and need not be later, or on another operator's machine.
  input = try(trimspace(file("${terraform_data.keys.output.folder}/lasting.pub")), "")

  lifecycle {
    ignore_changes       = [input]
    replace_triggered_by = [terraform_data.keys]
    postcondition {
      condition     = startswith(self.output, "ssh-ed25519 ")
      error_message = "The new machine's key is not in ${path.root}/.hosts/${var.name}. Have keys and machine made anew: terraform apply -replace=ADDRESS, with the address of terraform_data.keys beside this."
    }
  }
}
