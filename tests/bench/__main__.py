"""``.venv/bin/python tests/bench [chat|speech|memory|all]``: measure, print, and with ``--write`` publish.

Exit status: 0 measured and every bound met, 1 a bound missed, 2 nothing measured.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that ``python tests/bench`` finds ``bench.*``

from bench import chat, machine, memory, report, speech
from bench.report import Measurement

RIGS: dict[str, Callable[[bool], Measurement]] = {
    "chat": lambda quick: chat.measure(rounds=1 if quick else 5, seconds=0.5 if quick else 3),
    "speech": lambda quick: speech.measure(rounds=1 if quick else 7, lengths_s=(10,) if quick else (10, 60, 300)),
    "memory": lambda quick: memory.measure(rest_s=1 if quick else 10),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the rigs asked for."""
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("rigs", nargs="*", choices=[*RIGS, "all"], default="all", metavar="|".join([*RIGS, "all"]))
    parser.add_argument("--quick", action="store_true", help="one short round: shows that the rig works, not how fast")
    parser.add_argument("--write", action="store_true", help="publish in docs/performance.md and README.md")
    parser.add_argument("--even-if-busy", action="store_true", help="publish although something else is running here")
    options = parser.parse_args(arguments)
    rigs = list(RIGS) if "all" in options.rigs else options.rigs
    disturbed = machine.busy()
    if disturbed:
        print(f"warning: {disturbed}", file=sys.stderr)
    if options.write and (options.quick or (disturbed and not options.even_if_busy)):
        print("not measured: --write takes figures of an idle machine and of whole runs only", file=sys.stderr)
        return 2
    measurements = {}
    for rig in rigs:
        try:
            measurement = RIGS[rig](options.quick)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"{rig} could not be measured: {error}", file=sys.stderr)
            return 2
        if disturbed:
            measurement.notes.append(f"**Disturbed**: {disturbed}.")
        measurements[rig] = measurement
        print(f"\n## {rig}\n\n{measurement.markdown()}", flush=True)
    if options.write:
        report.write(measurements)
        print(f"\nwritten to {report.PERFORMANCE} and {report.README}")
    return 0 if all(bound.met for measurement in measurements.values() for bound in measurement.bounds) else 1


if __name__ == "__main__":
    sys.exit(main())
