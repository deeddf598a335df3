"""A stand-in of the Proxmox VE API: one node, its storages, virtual machines and PCI mappings.

It has the endpoints that the provider bpg/proxmox 0.106 asks for our module `proxmox_vm`, and no others. Paths,
parameters, permissions and the words of refusals follow the sources of Proxmox VE 9 (pve-manager 9.2, qemu-server 9.2,
pve-storage 9.1, pve-access-control 9.1; read in November 2026). What a caller sees of the real one that a table of
answers has not: work is a task with a UPID that takes its time, a machine is locked while it is worked on, a changed
option of a running machine is pending until its restart, and a refusal stands in the HTTP reason phrase.
"""
