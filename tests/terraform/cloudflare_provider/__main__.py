"""Terraform starts this and speaks to it."""

from __future__ import annotations

from tf.runner import run_provider

from terraform.cloudflare_provider.provider import Cloudflare

run_provider(Cloudflare())
