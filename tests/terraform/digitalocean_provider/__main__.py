"""Terraform starts this and speaks to it."""

from __future__ import annotations

import tf.runner

from terraform.digitalocean_provider.provider import DigitalOcean, OlderKit

tf.runner.ProviderServicer = OlderKit
tf.runner.run_provider(DigitalOcean())
