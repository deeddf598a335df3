#!/usr/bin/python
"""Have the speech model and the language models on this host, and see them work."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.ai_stack import ollama, speech
from ansible.module_utils.ai_stack.engine import Engine, EngineError
from ansible.module_utils.ai_stack.lock import ABOUT
from ansible.module_utils.ai_stack.ollama import ModelError
from ansible.module_utils.ai_stack.progress import Progress
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_models
short_description: Models of the stack
description:
  - Fetched before the services that want them are started or replaced, after a look at the room on the disk.
options:
  state:
    description: C(looked) says what is missing; C(fetched) brings it; C(proven) lets each language model speak.
    type: str
    choices: [looked, fetched, proven]
    required: true
  speech: {description: Name of the speech model., type: str}
  speech_place: {description: Directory of its volume on this host., type: path}
  speech_run: {description: "Arguments of docker run that fetch a model, up to its name.", type: list, elements: str,
               default: []}
  language: {description: Names of the language models., type: list, elements: str, default: []}
  language_place: {description: Directory of their volume on this host., type: path}
  language_run: {description: "Arguments of docker run that start an Ollama where none runs.", type: list,
                 elements: str, default: []}
"""
RETURN = r"""
missing: {description: Names of the models that are not here., type: list, elements: str, returned: always}
fetched: {description: Names of the models that were fetched., type: list, elements: str, returned: always}
"""


def main() -> None:
    """Do what the state says."""
    strings = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "fetched", "proven"], "required": True},
            "speech": {"type": "str"},
            "speech_place": {"type": "path"},
            "speech_run": strings,
            "language": strings,
            "language_place": {"type": "path"},
            "language_run": strings,
        },
        supports_check_mode=True,
    )
    ask = module.params
    try:
        if ask["state"] == "proven":
            _prove(ask["language"])
            module.exit_json(changed=False, missing=[], fetched=[])
        missing = _missing(ask)
        if ask["state"] == "looked" or module.check_mode or not missing:
            module.exit_json(changed=False, missing=missing, fetched=[])
        _fetch(ask, missing)
    except (ModelError, EngineError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=True,
        missing=[],
        fetched=missing,
        diff={"before": "", "after": "".join(f"{name}\n" for name in missing)},
    )


def _missing(ask: dict[str, object]) -> list[str]:
    """In the order in which they are fetched: speech first, because whisper-api does not start without."""
    missing = []
    model, place = ask["speech"], ask["speech_place"]
    if model and not (place and speech.has(Path(str(place)), str(model))):
        missing.append(str(model))
    language = ask["language"]
    assert isinstance(language, list)  # noqa: S101  (the argument spec says so)
    place = ask["language_place"]
    missing += [name for name in language if not (place and ollama.is_stored(Path(str(place)), name))]
    return missing


def _fetch(ask: dict[str, object], missing: list[str]) -> None:
    progress = Progress("models", "models", lock_about=ABOUT)
    language = [name for name in missing if name != ask["speech"]]
    if ask["speech"] in missing:
        speech.fetch(str(ask["speech"]), list(ask["speech_run"]), progress)  # type: ignore[call-overload]  # a list, by the argument's spec
    if not language:
        return
    place = Path(str(ask["language_place"]))
    for name in language:
        needed = ollama.size_bytes(name)
        if needed is not None:
            ollama.check_room(name, place, needed)
    with ollama.reachable(Engine(), "ollama", list(ask["language_run"])) as server:  # type: ignore[call-overload]  # a list, by the argument's spec
        for name in language:
            server.pull(name, progress)


def _prove(models: list[str]) -> None:
    with ollama.reachable(Engine(), "ollama", []) as server:
        for name in models:
            server.prove(name)


if __name__ == "__main__":
    main()
