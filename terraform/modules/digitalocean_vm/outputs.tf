output "machine" {
  description = "Where the machine is (address), who logs in (user), and the key it must show (host_key)."
  value = {
    address  = digitalocean_droplet.host.ipv4_address
    user     = var.user
    host_key = module.host_key.host_key
  }
  depends_on = [terraform_data.contact]
}

output "id" {
  description = "Changes when the machine is another one."
  value       = terraform_data.contact.id
}
