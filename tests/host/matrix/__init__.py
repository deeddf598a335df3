"""The fault matrix: every fault at every step of a change of a host, and what its users noticed."""
