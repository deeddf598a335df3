# The droplet as it is asked of DigitalOcean. The provider is mocked: only its schema counts.
mock_provider "digitalocean" {
  mock_resource "digitalocean_ssh_key" {
    defaults = { id = "512189" }
  }
}

override_module {
  target = module.host_key
  outputs = {
    host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ000000000000000000000000000000000000000000"
    folder   = "tests"
    contact  = "true"
    id       = "keys-1"
  }
}

variables {
  name       = "gpu-1"
  user       = "deployer"
  public_key = "ssh-ed25519 AAAA nobody\n"
  droplet = {
    region = "tor1"
    size   = "gpu-4000adax1-20gb"
    image  = "ubuntu-24-04-x64"
  }
}

run "a_droplet_with_a_gpu" {
  command = plan

  assert {
    condition     = digitalocean_droplet.host.size == "gpu-4000adax1-20gb" && digitalocean_droplet.host.region == "tor1" && digitalocean_droplet.host.name == "gpu-1"
    error_message = "Size, region and name are those asked for."
  }
  assert {
    condition     = digitalocean_ssh_key.deploy.public_key == "ssh-ed25519 AAAA nobody"
    error_message = "With a key of its own it gets no password by mail."
  }
}
