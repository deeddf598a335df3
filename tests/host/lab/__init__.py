"""A laboratory for hosts: `PYTHONPATH=tests .venv/bin/python -m host.lab --help`.

A lab is a private network on this machine's Docker with

- `internet`, one container that plays everything outside: DNS, ACME, registries, hubs, Cloudflare, apt repositories;
- hosts, one container each, with systemd as init, sshd, sudo and nothing else, as a machine comes from a provider.

Labs are told apart by name (`--lab`, or AI_LAB), so that several run side by side.
"""
