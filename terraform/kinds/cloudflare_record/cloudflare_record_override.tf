# In place of what main.tf says where this kind is off.
locals {
  cloudflare_record_is_on = true
  cloudflare_records      = module.cloudflare_record
}
