"""Archives of hosts: whole or refused."""
