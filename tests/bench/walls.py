"""How many attacks on a hub's values end in which way: ``./hack/bench walls``, which writes docs/benchmarks/walls.md.

Rows of zero-to-jupyterhub are measured with ``--chart CHART.tgz`` and kept otherwise; seconds until drift is repaired
are those that the end-to-end tests measured last on this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import records
from tests.hostile_values.attack import Attack, Outcome, Report
from tests.hostile_values.charts import HubChart, airgap, packaged
from tests.hostile_values.payloads import PAYLOADS

Json = dict[str, Any]
DRIFT = "drift"
"""Subject of the record: seconds by what was deleted or changed."""


def measured(report: Report) -> Json:
    """A report as it is kept in walls.json."""
    by_text: Json = {
        text: {
            how.name: sum(found is how for (_, tried), found in report.outcomes.items() if tried == text)
            for how in Outcome
        }
        for text in PAYLOADS
    }
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "attacks": len(report.outcomes),
        "places": len({place for place, _ in report.outcomes}),
        "unquoted": len(report.unquoted),
        "outcomes": {how.name: report.counts[how] for how in Outcome},
        "texts": by_text,
        "escaped": report.escaped,
    }


def page(document: Json) -> str:
    """docs/benchmarks/walls.md."""
    charts: Json = document["charts"]
    lines = [
        "# Attacks tried and refused: figures",
        "",
        "Written by `./hack/bench walls --chart CHART.tgz`, with walls.json beside it. Do not edit. Every value that",
        f"a chart's schema lets be a text is given {len(PAYLOADS)} texts that hide an object of Kubernetes, or a part,",
        "(`tests/hostile_values`), with all parts of the chart switched on. Helm renders it, offline; the operator's",
        "own rules judge what comes out ([decision 14](../decisions/0014-what-helm-would-apply.md)), and what they let",
        "pass is read once more by other code, in every way in which YAML, Helm and Kubernetes end a line.",
        "",
        "| | " + " | ".join(charts) + " |",
        "|---|" + "---|" * len(charts),
    ]
    rows: list[tuple[str, str]] = [("places for a text", "places"), ("of these printed without quotes", "unquoted")]
    rows.append(("**attacks tried**", "attacks"))
    lines += [f"| {title} | " + " | ".join(f"{chart[key]}" for chart in charts.values()) + " |" for title, key in rows]
    lines += [
        f"| {how} | " + " | ".join(str(chart["outcomes"][how.name]) for chart in charts.values()) + " |"
        for how in Outcome
    ]
    lines += ["| measured | " + " | ".join(chart["date"] for chart in charts.values()) + " |", ""]
    for name, chart in charts.items():
        heads = [how for how in Outcome if chart["outcomes"][how.name]]
        lines += [f"## {name}, by text", "", "| what the text hides | " + " | ".join(heads) + " |"]
        lines += ["|---|" + "---|" * len(heads)]
        for text, found in chart["texts"].items():
            lines.append(f"| {text} | " + " | ".join(str(found[how.name]) for how in heads) + " |")
        lines.append("")
    lines += _elsewhere(document.get("drift") or {})
    return "\n".join(lines) + "\n"


def _elsewhere(drift: Json) -> list[str]:
    lines = []
    if drift:
        lines += ["## Seconds until drift is repaired", ""]
        lines += [
            "From the end of the change, as `tests/e2e/test_91_release.py` measured it last; the bound is 60 s.",
            "",
        ]
        lines += ["| what | seconds | measured |", "|---|---|---|"]
        lines += [f"| {what} | {found['value']:.1f} | {found['date']} |" for what, found in drift.items()]
        lines.append("")
    return [
        *lines,
        "## Other figures of the walls",
        "",
        "| figure | where | made again by |",
        "|---|---|---|",
        "| verbs and resources of the operator, before and after |"
        " [decision 13](../decisions/0013-helm-as-the-tenant.md) | `helm template charts/pdshub` |",
        "| worst time for a label of each hostile kind | [labels](labels.md) | `./hack/bench labels` |",
        "| who reaches whom | [network](../network.md#try-it) | `kubectl pdshub probe` |",
        "| ways out of a user's pod that were tried | [promises](../security.md#promises) |"
        " `./hack/test`, `tests/e2e/test_98_escape.py` |",
    ]


def main() -> int:
    """Measure, and write both files into a folder."""
    parser = argparse.ArgumentParser(prog="hack/bench walls")
    parser.add_argument("--chart", type=Path, help="packaged zero-to-jupyterhub (.tgz)")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    file = options.out / "walls.json"
    document: Json = json.loads(file.read_text()) if file.exists() else {"charts": {}}
    charts: list[HubChart] = [airgap(), *([packaged(options.chart)] if options.chart else [])]
    for chart in charts:
        report = Attack(chart).all()
        sys.stderr.write(f"{report.line}\n")
        document["charts"][chart.name] = measured(report)
    if drift := records.known().get(DRIFT):
        document["drift"] = drift
    file.write_text(json.dumps(document, indent=1) + "\n")
    (options.out / "walls.md").write_text(page(document))
    return 1 if any(chart["escaped"] for chart in document["charts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
