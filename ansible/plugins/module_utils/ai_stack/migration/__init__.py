"""The on-host half of a migration: everything that must be quick, or must come to its end without the operator."""
