"""The lab's command line. See `--help`, and docs/testing.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from host.lab import base_images, deployment, engine, hosts, internet, stock, stores
from host.lab.mirror import SUITES
from host.lab.old import kinds
from host.lab.place import REPOSITORY, Lab, LabError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit status."""
    chosen = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Lab], int] = chosen.command
    try:
        return command(chosen, Lab.called(chosen.lab))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _check(_: argparse.Namespace, __: Lab) -> int:
    engine.possible()
    return 0


def _up(_: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    print(f"lab {lab.name}: {internet.network_of(lab)}, files in {lab.folder}")
    return 0


def _images(chosen: argparse.Namespace, _: Lab) -> int:
    engine.ensure()
    base_images.ensure(*(chosen.suites or SUITES))
    print("\n".join(base_images.host_image(suite) for suite in chosen.suites or SUITES))
    return 0


def _host(chosen: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    own = hosts.start(lab, chosen.name, suite=chosen.suite, gpus=tuple(chosen.gpu), number=chosen.number)
    print(f"{lab.fqdn(chosen.name)} {own}")
    return 0


def _push(chosen: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    print(stores.push_image(lab, chosen.reference, chosen.name))
    return 0


def _stock(_: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    for name, digest in stock.ensure(lab).items():
        print(f"{name}@{digest}")
    return 0


def _old(chosen: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    print(json.dumps(kinds.start(lab, chosen.name, chosen.kind).as_dict(), indent=2))
    return 0


def _gone(chosen: argparse.Namespace, lab: Lab) -> int:
    for name in chosen.names:
        hosts.remove(lab, name)
    return 0


def _list(_: argparse.Namespace, lab: Lab) -> int:
    for name in hosts.all_of(lab):
        print(lab.fqdn(name), hosts.address_of(lab, name))
    return 0


def _reboot(chosen: argparse.Namespace, lab: Lab) -> int:
    hosts.reboot(lab, chosen.name)
    return 0


def _exec(chosen: argparse.Namespace, lab: Lab) -> int:
    command = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
    if not command:
        raise LabError("exec needs a command: host.lab exec -- getent hosts acme.lab.test")
    whole = lab.inside(command)
    os.execvp(whole[0], whole)


def _deploy(chosen: argparse.Namespace, lab: Lab) -> int:
    internet.ensure(lab)
    operator = deployment.Operator(lab, chosen.name, lab.folder / "operators" / chosen.name)
    operator.prepare()
    words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
    whole = lab.inside(["./ai", "deploy", *operator.target(), "--config", str(operator.config), *words])
    os.chdir(REPOSITORY)
    os.execvpe(whole[0], whole, {**os.environ, "AI_HOME": str(operator.home)})


def _ssh(chosen: argparse.Namespace, lab: Lab) -> int:
    os.execvp(
        "ssh", ["ssh", "-F", str(lab.ssh_config), f"{hosts.USER}@{hosts.address_of(lab, chosen.name)}", *chosen.words]
    )


def _down(chosen: argparse.Namespace, lab: Lab) -> int:
    if not engine.answers():
        return 0
    for name in hosts.all_of(lab):
        engine.call("rm", "-f", lab.container(name))
        engine.call("volume", "rm", lab.container(name), check=False)
    internet.remove(lab, caches=chosen.caches)
    if chosen.docker:
        engine.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m host.lab", description=__doc__)
    parser.add_argument("--lab", help="which lab (default: AI_LAB, or `default`)")
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[[argparse.Namespace, Lab], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(command=command)
        return made

    add("check", _check, "whether a lab can be had on this machine; if not, says why and ends with 1")
    add("up", _up, "network and internet")
    images = add("images", _images, "only make the images of hosts; prints their names")
    images.add_argument("suites", nargs="*", metavar="SUITE")
    host = add("host", _host, "a host (and the lab, if it is not up); prints its name and address")
    host.add_argument("name")
    host.add_argument("--suite", choices=SUITES, default=SUITES[0])
    host.add_argument("--gpu", action="append", default=[], help="a card on its PCI bus: a name or vendor:device")
    host.add_argument("--number", type=int, help="the last number of its address")
    push = add("push", _push, "push an image of this machine into the lab's registry; prints its digest")
    push.add_argument("reference")
    push.add_argument("name", help="as hosts pull it: ghcr.io/lab/gateway:0.1.0, docker.io/ollama/ollama:0.24.0")
    add("stock", _stock, "build our images and Ollama's, and put them and the language model into the registries")
    shown = "; ".join(f"{name}: {kind.what}" for name, kind in kinds.KINDS.items())
    old = add("old", _old, f"a host with somebody else's Whisper service on it; prints what is true of it. {shown}")
    old.add_argument("name")
    old.add_argument("kind", choices=kinds.KINDS)
    add("gone", _gone, "remove hosts").add_argument("names", nargs="+")
    add("list", _list, "the hosts and their addresses")
    add("reboot", _reboot, "reboot a host from inside, and wait").add_argument("name")
    inside = add("exec", _exec, "run a command on this machine with the lab's DNS: exec -- COMMAND")
    inside.add_argument("words", nargs=argparse.REMAINDER)
    deploy = add("deploy", _deploy, "`./ai deploy` to a host with the lab's settings: deploy NAME -- --check")
    deploy.add_argument("name")
    deploy.add_argument("words", nargs=argparse.REMAINDER)
    shell = add("ssh", _ssh, "ssh to a host: ssh NAME [COMMAND]")
    shell.add_argument("name")
    shell.add_argument("words", nargs=argparse.REMAINDER)
    down = add("down", _down, "remove the lab, its hosts and its files")
    down.add_argument("--caches", action="store_true", help="also fetched packages and pushed images")
    down.add_argument("--docker", action="store_true", help="also stop dockerd, if the lab started it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
