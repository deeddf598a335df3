# What `./ai deploy` does by hand, with the same settings: wait for the machine's own key, deploy, verify.
terraform {
  required_version = ">= 1.11"
}

locals {
  settings = jsondecode(var.settings_json)
  domain   = try(local.settings.ai_domain, null)
  address  = strcontains(var.machine.address, ":") ? "[${var.machine.address}]" : var.machine.address
  login    = "${var.machine.user}@${var.machine.address}"
  # Of this run only; the token in it is gone when the run is over.
  folder = "${path.root}/.hosts/${var.name}"

  # A changed certificate is deployed anew. Secret files are not looked into: a hash of them would be in the state.
  public_files = [for name in ["ai_tls_certificate_file", "ai_extra_ca_file"] : try(filesha256(local.settings[name]), null)]
}

resource "terraform_data" "deployment" {
  # The record comes first: the host verifies itself under its name.
  input            = { record = var.record }
  triggers_replace = [var.machine_id, var.machine, var.settings_json, local.public_files]

  # Silent, for it sees a secret: Terraform shows no output of a step that does.
  provisioner "local-exec" {
    command = "sh ${path.module}/prepare.sh"
    environment = {
      AI_FOLDER   = local.folder
      AI_SETTINGS = var.settings_json
      AI_TOKEN    = var.ghcr_token
    }
  }

  provisioner "local-exec" {
    command = "sh ${path.module}/ai.sh deploy"
    environment = {
      AI_COMMAND  = "${path.root}/../ai"
      AI_FOLDER   = local.folder
      AI_LOGIN    = local.login
      AI_HOST_KEY = var.machine.host_key
      AI_KEY_FILE = var.ssh_key_file
      AI_WAIT_S   = var.wait_s
    }
  }
}

# prevent_destroy must be written as a literal, so no variable could lift it. This is destroyed first of all that a
# host consists of, and refuses while it is told to: nothing was touched then. It knows only what was last applied.
resource "terraform_data" "guard" {
  input = {
    name      = var.name
    protected = var.protected
    command   = "sh ${path.module}/guard.sh"
  }
  triggers_replace = [var.machine_id]

  provisioner "local-exec" {
    when    = destroy
    command = self.input.command
    environment = {
      AI_NAME      = self.input.name
      AI_PROTECTED = self.input.protected
    }
  }

  depends_on = [terraform_data.deployment]
}
