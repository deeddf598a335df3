"""Which models there are, where they come from, and bringing one onto this machine."""
