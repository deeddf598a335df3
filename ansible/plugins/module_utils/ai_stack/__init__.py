"""What the modules of the stack share. Standard library only: it runs on the host (Python 3.10 or newer)."""
