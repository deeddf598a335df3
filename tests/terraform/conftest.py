"""What the real applies share: a world of its own for each story."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from terraform import mirror, world

NO_TERRAFORM = "no terraform on PATH: nothing is applied for real"


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.World]:
    """A world with the kinds that the module names in `KINDS`; skips where Terraform or a provider is missing.

    `TASKS_TAKE_S` of the module says how long a task at the node lasts at least.
    """
    kinds = request.module.KINDS
    if shutil.which("terraform") is None:
        pytest.skip(NO_TERRAFORM)
    if "proxmox_vm" in kinds and mirror.real() is None:
        pytest.skip(mirror.NO_PROXMOX)
    takes_s = getattr(request.module, "TASKS_TAKE_S", 0.0)
    with world.made(tmp_path_factory.mktemp("world"), *kinds, tasks_take_s=takes_s) as made:
        yield made
