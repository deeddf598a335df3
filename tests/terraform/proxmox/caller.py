"""A client of the stand-in, as its own tests need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from terraform.proxmox.node import Node

TOKEN = "ai@pve!terraform=secret"


class Caller:
    """A client of one node; `refused` says the status, the words and the parameters of a refusal."""

    def __init__(self, there: Node, endpoint: str, trusted: Path) -> None:
        self.there, self.endpoint = there, endpoint
        self.session = requests.Session()
        self.session.verify = str(trusted)
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"PVEAPIToken={TOKEN}"

    def ask(self, method: str, path: str, **data: Any) -> requests.Response:
        where = {"params": data} if method in {"GET", "DELETE"} else {"data": data}
        return self.session.request(method, f"{self.endpoint}api2/json{path}", timeout=60, **where)  # type: ignore[arg-type]  # what requests takes

    def get(self, method: str, path: str, **data: Any) -> Any:
        answer = self.ask(method, path, **data)
        assert answer.status_code == 200, answer.reason
        return answer.json()["data"]

    def refused(self, method: str, path: str, **data: Any) -> tuple[int, str, dict[str, str]]:
        answer = self.ask(method, path, **data)
        assert answer.status_code != 200
        body = answer.json()
        assert body["data"] is None
        assert body["message"] == f"{answer.reason}\n", "the real one says it in both places"
        return answer.status_code, answer.reason, body.get("errors", {})

    def task(self, method: str, path: str, **data: Any) -> str:
        """Do a task to its end; its outcome."""
        upid = self.get(method, path, **data)
        self.there.tasks.all[upid].done.wait()
        return str(self.get("GET", f"/nodes/pve/tasks/{upid}/status")["exitstatus"])
