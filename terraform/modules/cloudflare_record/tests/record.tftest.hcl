# The records as they are asked of Cloudflare. The provider is mocked: only its schema counts. A mock can
# make no list of records: what is refused and what is adopted is seen in tests/terraform/test_apply_dns.py.
mock_provider "cloudflare" {}

variables {
  name    = "gpu-1"
  domain  = "ai.example.com"
  zone_id = "00000000000000000000000000000001"
  records = {
    main = { type = "A", address = "192.0.2.30" }
    ipv6 = { type = "AAAA", address = "2001:db8::30" }
  }
}

run "both_addresses_have_their_record" {
  command = plan

  assert {
    condition     = cloudflare_dns_record.this["main"].type == "A" && cloudflare_dns_record.this["main"].content == "192.0.2.30"
    error_message = "The A record leads to the IPv4 address."
  }
  assert {
    condition     = cloudflare_dns_record.this["ipv6"].type == "AAAA" && cloudflare_dns_record.this["ipv6"].content == "2001:db8::30"
    error_message = "The AAAA record leads to the IPv6 address."
  }
  assert {
    condition     = alltrue([for record in cloudflare_dns_record.this : record.name == "ai.example.com" && record.ttl == 300 && !record.proxied])
    error_message = "By its full name, and not through Cloudflare's proxy: recordings are larger than that takes."
  }
  assert {
    condition     = output.record == "ai.example.com"
    error_message = "Who waits for the record is told its name."
  }
}
