# Makes ai_dns = "cloudflare_record" possible. On by default: links in terraform/ lead here, and without them no
# provider is downloaded. Back again: ln -s kinds/cloudflare_record/*.tf . && terraform init
provider "cloudflare" {
  # A provider is configured also where nothing is made with it, and must not go looking for other credentials then.
  api_token = try(trimspace(file(pathexpand(var.ai_cloudflare_token_file))), "not-used-here-0000000000000000000000000000")
}

locals {
  named = { for name, host in local.ready : name => host if host.ai_dns == "cloudflare_record" }
  zones = { for name, host in local.named : name => trimsuffix(lower(host.ai_cloudflare_zone), ".") }
}

# Outside of the module: what an import block's id is made of must not depend on what it imports.
data "cloudflare_zone" "named" {
  for_each = toset(values(local.zones))
  filter   = { name = each.key }
}

module "cloudflare_record" {
  source   = "./modules/cloudflare_record"
  for_each = local.named

  name    = each.key
  domain  = trimsuffix(lower(each.value.ai_domain), ".")
  zone_id = data.cloudflare_zone.named[local.zones[each.key]].zone_id
  ttl_s   = each.value.ai_dns_ttl_s

  records = merge(
    { main = {
      # A droplet has an IPv4 address, which is not known before it is made.
      type    = strcontains(coalesce(each.value.ai_address, "-"), ":") ? "AAAA" : "A"
      address = local.machines[each.key].machine.address
    } },
    each.value.ai_ipv6_address == null ? {} : { ipv6 = { type = "AAAA", address = each.value.ai_ipv6_address } },
  )
  adopted = compact([each.value.ai_cloudflare_record_id, each.value.ai_cloudflare_ipv6_record_id])
}

# A record that is there already is taken over and then kept, never overwritten unasked.
import {
  for_each = { for name, host in local.named : name => host.ai_cloudflare_record_id if host.ai_cloudflare_record_id != null }
  to       = module.cloudflare_record[each.key].cloudflare_dns_record.this["main"]
  id       = "${data.cloudflare_zone.named[local.zones[each.key]].zone_id}/${each.value}"
}

import {
  for_each = { for name, host in local.named : name => host.ai_cloudflare_ipv6_record_id if host.ai_cloudflare_ipv6_record_id != null }
  to       = module.cloudflare_record[each.key].cloudflare_dns_record.this["ipv6"]
  id       = "${data.cloudflare_zone.named[local.zones[each.key]].zone_id}/${each.value}"
}
