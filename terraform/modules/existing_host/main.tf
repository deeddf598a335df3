# A host that is there already. Nothing is made; Terraform's built-in resource remembers it.
terraform {
  required_version = ">= 1.11"
}

resource "terraform_data" "host" {
  input = {
    address  = var.address
    user     = var.user
    host_key = trimspace(var.host_key)
  }
}
