output "machine" {
  description = "Where the machine is (address), who logs in (user), and the key it must show (host_key)."
  value = {
    address  = var.address
    user     = var.user
    host_key = trimspace(var.host_key)
  }
  depends_on = [terraform_data.host]
}

output "id" {
  description = "Changes when the machine is another one."
  value       = terraform_data.host.id
}
