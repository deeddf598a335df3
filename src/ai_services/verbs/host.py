"""What the verbs share that run Ansible on one host: what their command line asks for, and how it is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ai_services.host.target import Target
from ai_services.host.values import Given, collect
from ai_services.local.home import Home


@dataclass(frozen=True)
class HostWish:
    """What the command line asked for. `options` are settings by name, None where not given."""

    host: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pairs: Sequence[str] = ()
    config: str | None = None
    user: str | None = None
    key: str | None = None
    host_key: str | None = None
    verbose: bool = False

    def target(self, home: Home) -> Target:
        """Return the host as it was named; nobody was asked yet. Raises what `Target.parse` does."""
        return Target.parse(self.host, user=self.user, key=self.key, home=home.root)

    def given(self) -> Given:
        """Return everything that was set, and where. Raises what `collect` does."""
        return collect(config=self.config, pairs=self.pairs, options=self.options)
