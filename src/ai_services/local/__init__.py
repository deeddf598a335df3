"""The local stack: the same services as on a host, supervised on this machine without root or Docker."""
