"""What the modules of the stack share. Standard library only: it runs on the host, with the host's own Python (3.10+)."""
