"""A stand-in of the Terraform provider cloudflare/cloudflare, version 5, as far as our module uses it.

Schema, defaults and import follow the provider's published documentation (`cloudflare_dns_record`,
`cloudflare_dns_records`, `cloudflare_zone`; 5.x, read in November 2026), without `data` (records with parts: CAA, SRV).
It talks to the Cloudflare API at CLOUDFLARE_BASE_URL or the provider's `base_url`: here always our own stand-in
(tests/host/lab/cloudflare.py), which the certificates' tests use too.
"""
