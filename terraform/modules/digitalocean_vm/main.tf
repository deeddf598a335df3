# A droplet with a GPU at DigitalOcean. Its address is the cloud's to give; the host's own firewall decides who may
# reach it, as everywhere.
terraform {
  required_version = ">= 1.11"
  required_providers {
    digitalocean = {
      source  = "digitalocean/digitalocean"
      version = "~> 2.60"
    }
  }
}

module "host_key" {
  source = "../host_key"

  name       = var.name
  user       = var.user
  public_key = var.public_key
}

# What a resource may be replaced by must be in its own module.
resource "terraform_data" "keys" {
  input = module.host_key.id
}

# With a key of its own a droplet gets no root password by mail.
resource "digitalocean_ssh_key" "deploy" {
  name       = "ai-services ${var.name}"
  public_key = trimspace(var.public_key)
}

resource "digitalocean_droplet" "host" {
  name     = var.name
  region   = var.droplet.region
  size     = var.droplet.size
  image    = var.droplet.image
  ssh_keys = [digitalocean_ssh_key.deploy.id]
  tags     = ["ai-services"]
  # Only a hash of it comes into the state. The file is gone after the first contact.
  user_data = try(file("${module.host_key.folder}/user-data"), null)

  lifecycle {
    # A newer image is for new machines.
    ignore_changes       = [user_data, image]
    replace_triggered_by = [terraform_data.keys]
  }
}

# Between the droplet and whoever uses it: only from here on it shows the key that the state knows.
resource "terraform_data" "contact" {
  input            = { id = digitalocean_droplet.host.id }
  triggers_replace = [digitalocean_droplet.host.id, module.host_key.id]

  provisioner "local-exec" {
    command = module.host_key.contact
    environment = {
      AI_FOLDER   = module.host_key.folder
      AI_ADDRESS  = digitalocean_droplet.host.ipv4_address
      AI_USER     = var.user
      AI_KEY_FILE = var.ssh_key_file
      AI_WAIT_S   = var.wait_s
      AI_KEYS     = "module.digitalocean_vm[\"${var.name}\"].module.host_key.terraform_data.keys"
    }
  }
}
