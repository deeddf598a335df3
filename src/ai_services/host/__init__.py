"""The operator's side of a host: its settings, its plan, running Ansible, telling what happens, proving the result."""
