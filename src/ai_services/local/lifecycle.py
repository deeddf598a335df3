"""The life of a local stack: settle what is wanted, start it, wait for it, end it without a trace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ai_services import __version__
from ai_services.console import Row, Screen
from ai_services.exits import OperatorError
from ai_services.interrupts import undisturbed
from ai_services.local import components, llm, ports, processes, readiness, supervisor
from ai_services.local.components import Component
from ai_services.local.home import Home, write_json
from ai_services.local.state import Llm, Speech, Stack
from ai_services.models import fetch, resolve, room

DEFAULT_PORT = 8080
DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Wish:
    """What the person asked for on the command line; None is "no opinion"."""

    port: int | None = None
    host: str | None = None
    whisper_model: str | None = None
    llm: str | None = None
    llm_backend: str | None = None
    unload_after_s: int | None = None


def differences(stack: Stack, wish: Wish) -> list[str]:
    """Return what was asked for now and is otherwise in the running stack, one phrase each."""
    running = {
        "port": stack.port,
        "host": stack.host,
        "whisper_model": stack.asked.get("whisper_model") or stack.speech.model,
        "llm": stack.asked.get("llm") or stack.llm.model,
        "llm_backend": stack.llm.backend,
        "unload_after_s": stack.asked.get("unload_after_s") or "never",
    }
    found = []
    for name, has in running.items():
        wanted = getattr(wish, name)
        if name == "llm_backend":
            wanted = llm.parse_kind(wanted)
        if wanted is not None and wanted != has:
            found.append(f"--{name.replace('_', '-').removesuffix('-s')} is {has}, not {wanted}")
    return found


def settle(wish: Wish, home: Home, screen: Screen) -> Stack:
    """Decide everything about the stack before anything is started, and fetch its models.

    Raises:
        OperatorError: a port, space, memory, model or network is missing.
    """
    host, port = wish.host or DEFAULT_HOST, wish.port or DEFAULT_PORT
    ports.require_free(host, port)
    backend = llm.choose(llm.parse_kind(wish.llm_backend))
    screen.say(f"LLM backend: {backend.kind} ({backend.reason})")
    speech = resolve.speech(wish.whisper_model)
    language = resolve.llm(wish.llm, backend.kind)
    screen.say(f"Models: {speech.name} (speech), {language.name} (language)")
    room.require_memory([speech, language])
    speech_path = fetch.fetch(speech, home.models, screen)
    llm_path = None if language.origin == "ollama" else fetch.fetch(language, home.models, screen)
    entry = language.entry
    return Stack(
        version=__version__,
        home=str(home.root),
        host=host,
        port=port,
        speech=Speech(speech.name, str(speech_path), speech.memory_mib),
        llm=Llm(
            model=language.name,
            backend=backend.kind,
            reason=backend.reason,
            managed=backend.managed,
            url=backend.url,
            path=str(llm_path) if llm_path else None,
            chat_template=entry.chat_template if entry and language.origin == "package" else None,
            stop=entry.stop if entry and language.origin == "package" else [],
            max_tokens=entry.max_tokens if entry and language.origin == "package" else None,
            memory_mib=language.memory_mib,
        ),
        ports=_ports(port),
        socket=supervisor.socket_path(home),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        asked={
            "whisper_model": wish.whisper_model,
            "llm": wish.llm,
            "unload_after_s": wish.unload_after_s,
        },
    )


def _ports(front: int) -> dict[str, int]:
    chosen = {"gateway": front}
    for component in components.COMPONENTS:
        if component.name not in chosen:
            chosen[component.name] = ports.free_port(avoid=chosen.values())
    return chosen


def start(stack: Stack, home: Home, screen: Screen) -> None:
    """Start the settled stack and wait until every component is ready; on any failure nothing is left running.

    Raises:
        OperatorError: a component did not become ready.
        KeyboardInterrupt: Ctrl-C; everything started is ended before it leaves here.
    """
    home.key(home.api_key_file)
    home.key(home.internal_key_file)
    stack.save(home)
    try:
        _write_run_files(stack, home)
        supervisor.start(stack, home)
        wait_ready(stack, home, screen, begin=components.running(stack))
        provide_llm(stack, screen)
        stack.phase = "up"
        stack.save(home)
    except BaseException:
        with undisturbed():
            tear_down(home)
        raise


def provide_llm(stack: Stack, screen: Screen) -> None:
    """Give Ollama its model, where Ollama is the backend."""
    if stack.llm.backend == "ollama":
        from ai_services.local.ollama_models import provide

        provide(stack.llm, stack.llm.url or f"http://127.0.0.1:{stack.ports['llm']}", screen)


def _write_run_files(stack: Stack, home: Home) -> None:
    for row in components.running(stack):
        for name, content in row.files(stack, home).items():
            write_json(home.run / name, content)
    write_json(home.plan_file, components.plan(stack, home))


def wait_ready(stack: Stack, home: Home, screen: Screen, begin: Sequence[Component]) -> None:
    """Begin the given components, each once those before it are ready, and wait for all of the stack.

    Raises:
        OperatorError: one gave up or took too long; the message holds its last log lines.
    """
    rows = components.running(stack)
    waiting = {row.name for row in begin}
    begun: dict[str, float] = {}
    took: dict[str, float] = {}
    with supervisor.Supervisor(stack.socket) as keeper, screen.components() as board:
        for _ in readiness.pauses():
            for row in rows:
                if row.name in waiting and all(name in took for name in row.first):
                    keeper.begin(row.name)
                    waiting.discard(row.name)
                    begun[row.name] = time.monotonic()
            infos = keeper.list()
            states = {}
            for row in rows:
                # What was ready once is not asked again: every question is a line in its log.
                state = readiness.judge(row, stack, infos.get(row.name), ask=row.name not in took)
                states[row.name] = "waiting" if row.name in waiting else state
                if states[row.name] == "ready":
                    took.setdefault(row.name, time.monotonic() - begun[row.name] if row.name in begun else 0)
            board.show([_row(row, stack, states[row.name], took.get(row.name)) for row in rows])
            for row in rows:
                if states[row.name] == "failed":
                    raise readiness.gave_up(row, home, infos.get(row.name))
                if states[row.name] != "ready" and time.monotonic() - begun.get(row.name, time.monotonic()) > (
                    row.ready_timeout_s
                ):
                    raise _too_slow(row, home)
            if all(state == "ready" for state in states.values()):
                return


def _row(row: Component, stack: Stack, state: str, took_s: float | None) -> Row:
    notes = [row.model(stack) or "", f"{took_s:.1f} s" if took_s else ""]
    return Row(row.name, row.summary, state, ", ".join(note for note in notes if note))


def _too_slow(row: Component, home: Home) -> OperatorError:
    return OperatorError(
        f"{row.name} was not ready after {row.ready_timeout_s:.0f} s.",
        detail="\n".join(readiness.last_lines(home, row.name)),
        hint=f"The lines above are its last words; all of them: ./ai logs {row.name}",
    )


def tear_down(home: Home) -> int:
    """End everything that belongs to the stack in `home` and remove its run files.

    Works from what is recorded and from what is found: also after the supervisor was killed, or its files lost.
    Returns how many processes were ended.
    """
    stack = Stack.load(home)
    count = len(processes.of_stack(str(home.root)))
    if stack and supervisor.is_answering(stack):
        with suppress(OSError), supervisor.Supervisor(stack.socket) as keeper:
            keeper.shutdown()
        longest = max(row.stop_s for row in components.COMPONENTS)
        deadline = time.monotonic() + longest + 10
        while time.monotonic() < deadline and processes.is_alive(stack.supervisor_pid, stack.supervisor_created):
            time.sleep(0.05)
    processes.end(processes.of_stack(str(home.root)))
    if stack:
        _remove_socket(Path(stack.socket), home)
    home.clear_run()
    return count


def _remove_socket(path: Path, home: Home) -> None:
    path.unlink(missing_ok=True)
    if path.parent != home.run:
        with suppress(OSError):
            path.parent.rmdir()
