# A host that is there already. Nothing is made; Terraform's built-in resource remembers it, and takes off what was
# deployed when it goes.
terraform {
  required_version = ">= 1.11"
}

resource "terraform_data" "host" {
  # All that its end needs: a provisioner that destroys sees nothing else. A host with a new address is still the same.
  input = {
    command       = "sh ${path.module}/../deployment/ai.sh destroy"
    ai            = "${path.root}/../ai"
    folder        = "${path.root}/.hosts/${var.name}"
    login         = "${var.user}@${var.address}"
    host_key      = trimspace(var.host_key)
    ssh_key_file  = var.ssh_key_file
    settings_json = var.settings_json
  }

  provisioner "local-exec" {
    when    = destroy
    command = self.input.command
    environment = {
      AI_COMMAND  = self.input.ai
      AI_FOLDER   = self.input.folder
      AI_LOGIN    = self.input.login
      AI_HOST_KEY = self.input.host_key
      AI_KEY_FILE = self.input.ssh_key_file
      AI_SETTINGS = self.input.settings_json
    }
  }
}
