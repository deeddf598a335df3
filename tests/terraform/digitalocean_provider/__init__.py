"""A stand-in of the Terraform provider digitalocean/digitalocean 2.x and of the API behind it, as our module uses them.

Schemas follow the provider's documentation and source (`digitalocean_droplet` without `backup_policy`,
`digitalocean_ssh_key`; read in November 2026). As in the real one, which is written with Terraform's older kit, a
plan holds the hash of `user_data` in place of it, and `user_data` may be left out but not be empty.
"""
