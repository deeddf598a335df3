"""Hosts as they are before a migration: other people's Whisper services, installed as other people install them."""
