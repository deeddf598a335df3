output "url" {
  description = "Address under which the host is used."
  value       = "${try(local.settings.ai_tls, "letsencrypt") == "off" ? "http" : "https"}://${local.domain == null ? local.address : local.domain}"
  depends_on  = [terraform_data.deployment]
}

output "ssh" {
  description = "Command that logs in."
  value       = "ssh ${var.ssh_key_file == null ? "" : "-i ${var.ssh_key_file} "}${local.login}"
}

output "key" {
  description = "File on the host with the API keys, one a line."
  value       = "/opt/ai/secrets/api.key"
}
