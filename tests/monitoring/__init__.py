"""Tests of the profile `monitoring` with the real Prometheus."""
