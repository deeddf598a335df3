output "record" {
  description = "Full name that points to the machine; known when the records are there."
  value       = var.domain
  depends_on  = [cloudflare_dns_record.this]
}
