#!/usr/bin/python
"""Have the stack's images on this host, by digest."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.ai_stack.engine import Engine, EngineError
from ansible.module_utils.ai_stack.images import ImageError, pull, resolve
from ansible.module_utils.ai_stack.lock import ABOUT
from ansible.module_utils.ai_stack.progress import Progress
from ansible.module_utils.ai_stack.releases import Store
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_images
short_description: Images of the stack, by digest
description:
  - A tag keeps the digest that it had when it was pulled for the current release, until another tag is wanted or
    C(refresh) is set. So a second run asks no registry.
options:
  state:
    description: C(looked) only says what is here; C(pulled) brings what is missing.
    type: str
    choices: [looked, pulled]
    required: true
  images: {description: Reference of each service's image., type: dict, required: true}
  refresh: {description: Ask the registry again what each tag means., type: bool, default: false}
  root: {description: Directory of the installation., type: path, default: /opt/ai}
  docker_config: {description: Directory with the registry's credentials., type: path, default: /opt/ai/secrets/docker}
"""
RETURN = r"""
pins: {description: Reference with digest of each image that is here., type: dict, returned: always}
missing: {description: Reference of each image that is not here., type: dict, returned: always}
api: {description: "Version of Docker's API; empty without Docker.", type: str, returned: always}
"""


def main() -> None:
    """Look, and pull what is missing."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "pulled"], "required": True},
            "images": {"type": "dict", "required": True},
            "refresh": {"type": "bool", "default": False},
            "root": {"type": "path", "default": "/opt/ai"},
            "docker_config": {"type": "path", "default": "/opt/ai/secrets/docker"},
        },
        supports_check_mode=True,
    )
    ask = module.params
    root = Path(ask["root"])
    store = Store(root)
    known = store.about(store.current).get("images", {}) if store.current else {}
    engine = Engine(timeout_s=600)
    try:
        api = str(engine.get("/version")["ApiVersion"])
        here = resolve(engine, ask["images"], known).pinned
        found = resolve(engine, ask["images"], {} if ask["refresh"] else known)
        pins, missing = found.pinned, found.missing
        if ask["state"] == "pulled" and missing and not module.check_mode:
            progress = Progress("images", "images", lock_about=ABOUT)
            pins = {**pins, **pull(engine, missing, Path(ask["docker_config"]), progress)}
            missing = {}
    except ImageError as error:
        module.fail_json(msg=str(error))
    except EngineError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        # Before the first run there is no Docker to ask: everything is still to come.
        pins, missing, api, here = {}, dict(ask["images"]), "", {}
    # What was asked for anew and is what it was has changed nothing.
    pulled = {service: pin for service, pin in pins.items() if here.get(service) != pin} if api else {}
    module.exit_json(
        changed=bool(pulled),
        pins=pins,
        missing=missing,
        api=api,
        diff={"before": "", "after": "".join(f"{pin}\n" for pin in pulled.values())},
    )


if __name__ == "__main__":
    main()
