output "record" {
  description = "Full name that points to the machine; known when the records are there."
  value       = var.domain
  depends_on  = [cloudflare_dns_record.this]
}

output "zone_id" {
  description = "Id of the zone, which an adopted record is imported by."
  value       = data.cloudflare_zone.this.zone_id
}
