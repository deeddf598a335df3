"""Backups of a host: sealed on the way (age), checked whole before anything is restored. `host/` runs on the host."""
