"""The command line of `ai`: verbs, options, help. Each verb's work is in `ai_services.verbs`, imported when called."""

from __future__ import annotations

import signal
from typing import Annotated, NoReturn

import typer

from ai_services import cli_backup, cli_migrate, cli_releases
from ai_services.cli_options import (
    ANSIBLE_ENDED,
    Config,
    Host,
    HostKey,
    Json,
    Key,
    Pairs,
    User,
    Verbose,
    Yes,
    examples,
    finish,
)
from ai_services.exits import MEANINGS, Terminated

_EPILOG = "Exit codes:\n" + "\n".join(f"{code:>5}  {meaning}" for code, meaning in MEANINGS.items())


app = typer.Typer(
    name="ai",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
    help="""A private AI server on this machine: speech, chat and embeddings behind one front door.

    [bold]./ai up[/bold] sets everything up, starts it and proves that it works; [bold]./ai test[/bold] runs the tests.
    Everything that is kept lies in one directory: AI_HOME, by default ~/.local/share/ai-services.""",
)


@app.command(
    epilog=examples(
        "./ai up",
        "./ai up --port 9000",
        "./ai up --whisper-model small --llm qwen2.5:3b",
        "./ai up --llm Qwen/Qwen2.5-1.5B-Instruct-GGUF:q4_k_m",
        "AI_HOME=/data/ai ./ai up --port 9001",
    )
)
def up(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the front door.", show_default="8080")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address of the front door; any other than this machine's own opens it to the network.",
            show_default="127.0.0.1",
        ),
    ] = None,
    whisper_model: Annotated[
        str | None,
        typer.Option(
            help="Speech model: a catalogue name (tiny.en, small, large-v3-turbo, ...), a Hugging Face id "
            "or a directory.",
            show_default="tiny.en, embedded",
        ),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(
            "--llm",
            help="Language model: a catalogue name, a Hugging Face id (OWNER/NAME[:FILE.gguf]), "
            "a .gguf file, or with Ollama any of its models.",
            show_default="gemma3:270m, embedded",
        ),
    ] = None,
    llm_backend: Annotated[
        str | None,
        typer.Option(
            help="auto, ollama or llama.cpp.",
            show_default="auto: Ollama if OLLAMA_HOST answers or it is installed, else llama.cpp",
        ),
    ] = None,
    unload_after: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Give the language model's memory back when unused for so long (llama.cpp).",
            show_default="never",
        ),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--proof/--no-proof", help="Transcribe the sample and ask one question at the end.")
    ] = True,
    json: Json = False,
) -> None:
    """Start everything, show it becoming ready, prove it, and say what to try next. Changes nothing if it is up."""
    from ai_services.local.lifecycle import Wish
    from ai_services.verbs.up import run

    wish = Wish(port, host, whisper_model, llm, llm_backend, unload_after)
    finish(lambda: run(wish, prove=prove, as_json=json))


@app.command(epilog=examples("./ai down"))
def down() -> None:
    """End everything that `up` started. Models, keys and logs stay in AI_HOME; removing that removes all."""
    from ai_services.verbs.down import run

    finish(run)


@app.command(epilog=examples("./ai status", "./ai status --json | jq -r .url"))
def status(json: Json = False) -> None:
    """Show each component: state, pid, port, memory, model, since when. Exit code 3 when nothing runs."""
    from ai_services.verbs.status import run

    finish(lambda: run(as_json=json))


@app.command(epilog=examples("./ai logs", "./ai logs gateway -n 200", "./ai logs whisper-api -f"))
def logs(
    component: Annotated[
        str | None, typer.Argument(help="gateway, whisper-api, llm or supervisord.", show_default="all components")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Print what the components logged. They never log a key, a transcript or a prompt."""
    from ai_services.verbs.logs import run

    finish(lambda: run(component, follow=follow, lines=lines))


@app.command(epilog=examples("./ai restart", "./ai restart whisper-api"))
def restart(
    component: Annotated[
        str | None, typer.Argument(help="gateway, whisper-api or llm.", show_default="all components")
    ] = None,
) -> None:
    """Stop and start one component, or all, and wait until they are ready again."""
    from ai_services.verbs.restart import run

    finish(lambda: run(component))


@app.command(
    "test",
    epilog=examples("./ai test", "./ai test --long", "./ai test tests/operator", "./ai test -- -k catalogue -x"),
)
def check(
    pytest_arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]... [-- PYTEST OPTIONS]",
            help="Only these tests; whatever stands after -- goes to pytest.",
            show_default="everything",
        ),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Leave out the tests that start the whole stack.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Run what is left out for its time, and nothing else.")] = False,
    json: Json = False,
) -> None:
    """Check everything: format, lint, types, unit tests, then the real stack with real models and real clients."""
    from ai_services import checks

    finish(lambda: checks.run(pytest_arguments or [], fast=fast, long=long, json=json))


@app.command(
    epilog=examples(
        "./ai deploy 192.168.20.30 --domain ai.internal.example.com",
        "./ai deploy deployer@gpu-1 --config ai.yml --check",
        "./ai deploy gpu-1 --set ai_ollama_model=qwen2.5:1.5b --set ai_profiles=monitoring",
        "./ai deploy gpu-1 --check --diff",
        "./ai deploy localhost",
    )
)
def deploy(
    host: Host,
    domain: Annotated[
        str | None, typer.Option(help="Name under which the host is reached (ai_domain).", show_default="from ai.yml")
    ] = None,
    config: Config = None,
    pairs: Pairs = None,
    check: Annotated[bool, typer.Option("--check", help="Look and plan; change nothing.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what changes in files; with --check, go through every step.")
    ] = False,
    wait_s: Annotated[
        int,
        typer.Option("--wait-s", min=0, max=86400, help="Seconds to wait for a machine that is still starting."),
    ] = 0,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Make a Debian or Ubuntu machine an AI host: plan, install, start, prove it. A second run changes nothing."""
    from ai_services.verbs.deploy import Wish, run

    wish = Wish(
        host, {"ai_domain": domain}, pairs or (), config, user, key, host_key,
        check=check, diff=diff, wait_s=wait_s, verbose=verbose,
    )  # fmt: skip
    finish(lambda: run(wish, as_json=json), ANSIBLE_ENDED)


@app.command(epilog=examples("./ai destroy gpu-1", "./ai destroy gpu-1 --data", "./ai destroy gpu-1 --yes"))
def destroy(
    host: Host,
    data: Annotated[bool, typer.Option("--data", help="Take models and API keys too.")] = False,
    yes: Yes = False,
    config: Config = None,
    pairs: Pairs = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Take off what deploy put on, and leave the machine as it was found. Shows what goes and what stays, and asks."""
    from ai_services.verbs.destroy import Wish, run

    wish = Wish(host, {}, pairs or (), config, user, key, host_key, data=data, yes=yes, verbose=verbose)
    finish(lambda: run(wish, as_json=json), ANSIBLE_ENDED)


@app.command(
    epilog=examples(
        "./ai provision --config ai.yml",
        "./ai provision --set ai_machine=existing_host --set ai_address=192.168.20.30 …",
        "./ai provision --yes --json | jq -r .hosts.ai.url",
        "./ai provision --destroy",
    )
)
def provision(
    config: Config = None,
    pairs: Pairs = None,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Destroy what was made; a host that was there before is only cleared.")
    ] = False,
    data: Annotated[
        bool, typer.Option("--data", help="With --destroy: take models, keys and protected disks too.")
    ] = False,
    yes: Yes = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Terraform's own output too.")] = False,
    json: Json = False,
) -> None:
    """Make machines and their names with Terraform, then deploy to them. Shows the plan, what hurts first, and asks."""
    from ai_services.verbs.provision import Wish, run

    wish = Wish(config, pairs or (), destroy=destroy, data=data, yes=yes, verbose=verbose)
    finish(lambda: run(wish, as_json=json), "Terraform and all it had started here have ended")


cli_backup.add_to(app)
cli_releases.add_to(app)
cli_migrate.add_to(app)


@app.command(epilog=examples("./ai doctor", "./ai doctor gpu-1", "./ai doctor gpu-1 --fix --json"))
def doctor(
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="As for deploy.", show_default="the stack on this machine")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Do what is safe, say what was done, and look again.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only this check; may be repeated.")
    ] = None,
    config: Config = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    json: Json = False,
) -> None:
    """Say what is wrong with a host, or with the local stack, and how to mend it. One line a check."""
    from ai_services.verbs.doctor import Wish, run

    finish(lambda: run(Wish(host, user, key, host_key, config, fix=fix, only=only or ()), as_json=json))


@app.command()
def version(json: Json = False) -> None:
    """Print the version; with --json also Python, platform and checkout."""
    from ai_services.verbs.version import run

    finish(lambda: run(as_json=json))


def _terminated(*_: object) -> NoReturn:
    raise Terminated


def main() -> None:
    """Run the command line and leave with one of the documented exit codes."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    app(prog_name="./ai")


if __name__ == "__main__":
    main()
