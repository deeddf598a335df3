"""From measurements to the two places that quote them: docs/performance.md (all of it) and README.md (the bounds).

``results.json`` beside this file keeps what was measured; both documents are rendered from it, so that they cannot
disagree with each other or with a run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.json")
PERFORMANCE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
SUMMARY = "summary"


@dataclass(frozen=True)
class Bound:
    """A promise about speed or size: what was measured, what was promised, both as text with their units."""

    what: str
    measured: str
    limit: str
    met: bool


@dataclass(frozen=True)
class Measurement:
    """One rig's outcome: a table, the bounds it answers for, and what a reader needs to repeat it."""

    columns: list[str]
    rows: list[list[str]]
    bounds: list[Bound]
    machine: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The measurement as it stands in docs/performance.md."""
        verdicts = [
            f"- {bound.what}: **{bound.measured}** (bound {bound.limit}, {'met' if bound.met else '**missed**'})"
            for bound in self.bounds
        ]
        notes = [f"- {note}" for note in self.notes]
        machine = "; ".join(f"{name} {value}" for name, value in self.machine.items())
        parts = [table(self.columns, self.rows), "\n".join(verdicts), "\n".join(notes), f"Taken on: {machine}."]
        return "\n\n".join(part for part in parts if part)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A markdown table; every column after the first is right-aligned, as figures are."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])


def load() -> dict[str, Measurement]:
    """What was last written, by rig; empty before the first ``--write``."""
    if not RESULTS.exists():
        return {}
    stored = json.loads(RESULTS.read_text())
    return {
        rig: Measurement(**{**fields, "bounds": [Bound(**bound) for bound in fields["bounds"]]})
        for rig, fields in stored.items()
    }


def write(new: Mapping[str, Measurement]) -> None:
    """Keep the new measurements beside the older ones of other rigs, and render both documents again."""
    measurements = load() | dict(new)
    RESULTS.write_text(
        json.dumps({rig: asdict(m) for rig, m in sorted(measurements.items())}, indent=1, ensure_ascii=False) + "\n"
    )
    for path in (PERFORMANCE, README):
        path.write_text(rendered(path.read_text(), measurements))


def rendered(document: str, measurements: Mapping[str, Measurement]) -> str:
    """The document with every block we own replaced by what ``measurements`` say."""
    for rig, measurement in measurements.items():
        document = _replace(document, rig, measurement.markdown())
    return _replace(document, SUMMARY, summary(measurements))


def summary(measurements: Mapping[str, Measurement]) -> str:
    """The short table of bounds that the README quotes."""
    rows = [
        [bound.what, bound.measured, bound.limit] for rig in sorted(measurements) for bound in measurements[rig].bounds
    ]
    return table(["what", "measured", "bound"], rows)


def block(document: str, name: str) -> str | None:
    """What stands between the markers of ``name``, or None where the document has no such block."""
    match = re.search(_pattern(name), document, re.DOTALL)
    return match["inside"].strip() if match else None


def _replace(document: str, name: str, inside: str) -> str:
    return re.sub(
        _pattern(name), lambda match: f"{match['begin']}\n{inside}\n{match['end']}", document, flags=re.DOTALL
    )


def _pattern(name: str) -> str:
    return rf"(?P<begin><!-- bench:{name}:begin[^>]*-->)(?P<inside>.*?)(?P<end><!-- bench:{name}:end -->)"
