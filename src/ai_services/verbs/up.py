"""`ai up`: everything set up, running, proven, and what to do with it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from ai_services import __version__
from ai_services.console import Screen
from ai_services.exits import FAILED, NOT_READY, OK, OperatorError
from ai_services.interrupts import undisturbed
from ai_services.local import lifecycle, lock, proof, supervisor
from ai_services.local.home import Home
from ai_services.local.lifecycle import Wish
from ai_services.local.proof import Proof
from ai_services.local.state import Stack
from ai_services.verbs.output import print_json
from ai_services.verbs.status import report


def run(wish: Wish, *, prove: bool = True, as_json: bool = False) -> int:
    """Bring the stack up, or say that it is. Returns the exit code.

    Raises:
        OperatorError: something is in the way, or a component failed; then nothing is left running.
    """
    home, screen = Home.current(), Screen(json=as_json)
    with lock.exclusive(home, "up"):
        home.create()
        before = Stack.load(home)
        if before and before.phase == "up" and supervisor.is_answering(before):
            return _already_up(before, home, wish, screen, as_json)
        if lifecycle.tear_down(home):
            screen.warn("Ended what an earlier, broken run had left behind.")
        home.create()
        screen.say(f"ai-services {__version__}, state in {home.root}")
        try:
            if wish.host and wish.host not in ("127.0.0.1", "::1", "localhost"):
                screen.warn(
                    f"The front door listens on {wish.host}: whoever reaches this machine can try keys. "
                    "There is no TLS here; put a reverse proxy in front before it leaves your own network."
                )
            stack = lifecycle.settle(wish, home, screen)
        except BaseException:
            home.clear_run()
            raise
        lifecycle.start(stack, home, screen)
        shown = None
        if prove:
            shown = _proven(stack, home, screen)
    if as_json:
        print_json({**report(home), "proof": asdict(shown) if shown else None})
    else:
        _show_next(stack, home, screen)
    return OK if shown is None or shown.ok else FAILED


def _proven(stack: Stack, home: Home, screen: Screen) -> Proof:
    try:
        with _ended_by_ctrl_c(home), screen.busy("Transcribing the sample and asking one question"):
            found = proof.prove(stack, home.key(home.api_key_file))
    except OperatorError as error:
        raise OperatorError(
            f"Every component is ready, but the proof failed. {error.message}",
            hint=f"{error.hint}. The stack is still running; ./ai down ends it.",
        ) from error
    screen.say()
    match = f"{found.match:.0%} of its words" if found.match < 1 else "word for word"
    heard = f"Heard ({found.transcribe_s:.1f} s): {found.transcript}"
    answer = f"Asked: {found.question}  Answered ({found.answer_s:.1f} s): {found.answer or '(nothing)'}"
    if found.match >= proof.ENOUGH:
        screen.done(f"{heard}  [{match}]")
    else:
        screen.warn(f"{heard}  [{match}] but the sample says: {found.expected}")
    (screen.done if found.answer else screen.warn)(answer)
    return found


@contextmanager
def _ended_by_ctrl_c(home: Home) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        with undisturbed():
            lifecycle.tear_down(home)
        raise


def _already_up(stack: Stack, home: Home, wish: Wish, screen: Screen, as_json: bool) -> int:
    found = report(home)
    unready = [row["name"] for row in found["components"] if row["state"] != "ready"]
    changed = lifecycle.differences(stack, wish)
    if as_json:
        print_json({**found, "proof": None, "differs": changed})
        return NOT_READY if unready else OK
    screen.say(f"Already up since {stack.started_at}; nothing was changed.")
    if changed:
        screen.warn(f"But {'; '.join(changed)}. To apply: ./ai down && {_again(wish)}")
    if unready:
        screen.warn(f"Not ready: {', '.join(unready)}. Look at ./ai status and ./ai logs {unready[0]}")
    _show_next(stack, home, screen)
    return NOT_READY if unready else OK


def _again(wish: Wish) -> str:
    words = ["./ai", "up"]
    for name, value in asdict(wish).items():
        if value is not None:
            words += [f"--{name.replace('_', '-').removesuffix('-s')}", str(value)]
    return shlex.join(words)


def _show_next(stack: Stack, home: Home, screen: Screen) -> None:
    key = home.key(home.api_key_file)
    sample = shlex.quote(str(proof.sample().file))
    keyed = f'-H "Authorization: Bearer $(cat {shlex.quote(str(home.api_key_file))})"'
    # Bounded: a small base model that is not told to stop goes on until its context is full, which takes minutes.
    body = {
        "model": stack.llm.model,
        "messages": [{"role": "user", "content": proof.QUESTION}],
        "max_tokens": 48,
        "temperature": 0,
    }
    question = json.dumps(body)
    screen.say()
    screen.say(f"URL      {stack.url}   (docs: {stack.url}/docs)")
    screen.say(f"API key  {key}   (file: {home.api_key_file})")
    screen.say()
    screen.say("Try next:")
    # curl would ask a proxy of the environment for this machine's own address.
    proxied = any(os.environ.get(name) for name in ("http_proxy", "all_proxy", "ALL_PROXY"))
    curl = "curl --noproxy '*'" if proxied else "curl"
    screen.say(f"  {curl} {keyed} -F file=@{sample} {stack.url}/transcribe")
    screen.say(
        f"  {curl} {keyed} -H 'Content-Type: application/json' -d {shlex.quote(question)} "
        f"{stack.url}/v1/chat/completions"
    )
    screen.say("  ./ai status")
