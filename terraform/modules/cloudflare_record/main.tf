# The name's A and AAAA records at Cloudflare. Not proxied: recordings are larger than its proxy takes, and a host in
# a private network is not to be reached through it.
terraform {
  required_version = ">= 1.11"
  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "5.22.0"
    }
  }
}

locals {
  # By which a record of ours is known from anybody else's.
  comment = "ai-services: ${var.name}"
}

data "cloudflare_dns_records" "found" {
  zone_id = var.zone_id
  name    = { exact = var.domain }

  lifecycle {
    # A second A record would be taken without a word, and the name would lead here and there by turns.
    postcondition {
      condition = alltrue([
        for record in self.result : !contains(["A", "AAAA", "CNAME"], record.type) || contains(var.adopted, record.id)
        || record.comment == local.comment
      ])
      error_message = "${var.domain} has a record already that this run did not make. Adopt it by its id (ai_cloudflare_record_id, ai_cloudflare_ipv6_record_id), or delete it at Cloudflare: ${join(", ", [for record in coalesce(self.result, []) : "${record.type} ${record.content} has id ${record.id}" if contains(["A", "AAAA", "CNAME"], record.type)])}."
    }
  }
}

resource "cloudflare_dns_record" "this" {
  for_each = var.records

  zone_id = var.zone_id
  name    = var.domain
  type    = each.value.type
  content = each.value.address
  ttl     = var.ttl_s
  proxied = false
  comment = local.comment

  depends_on = [data.cloudflare_dns_records.found]
}
