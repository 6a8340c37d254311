"""What hack/up measured of the hub that it made, printed at its end; the same figures over many runs: hack/bench."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .run import StepFailed, output
from .settings import ROOT

if TYPE_CHECKING:
    from .world import World

SYSTEM = "pdshub-system"
_PUBLISHED = re.compile(r"published \S+ at \S+ in (\d+) ms")
BENCHMARKS = ROOT / "docs" / "benchmarks"


@dataclass
class Figures:
    """Seconds, milliseconds and megabytes of one run; None: not measured in it."""

    apply_to_ready_seconds: float | None = None
    first_server_seconds: float | None = None
    publish_ms: int | None = None
    operator_mb: float | None = None
    node_plugin_mb: float | None = None


def lines(found: Figures) -> list[str]:
    """The figures in words, those that were measured."""
    rows = [
        ("kubectl apply to Ready", found.apply_to_ready_seconds, "s"),
        ("first server, from request to answer", found.first_server_seconds, "s"),
        ("the archive's volume published in", found.publish_ms, "ms"),
        ("memory of the operator", found.operator_mb, "MB"),
        ("memory of the node plugin", found.node_plugin_mb, "MB"),
    ]
    return [f"{name:<38}{value:>8} {unit}" for name, value, unit in rows if value is not None]


def publish_ms(log: str) -> int | None:
    """Milliseconds of the last volume that the node plugin published, from its log."""
    found = _PUBLISHED.findall(log)
    return int(found[-1]) if found else None


def resident_mb(status: str) -> float | None:
    """The largest VmRSS of some /proc/PID/status in megabytes (10^6 bytes): what starts a program is smaller."""
    found = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return round(max(map(int, found)) * 1024 / 1e6, 1) if found else None


def measure(world: World, apply_to_ready: float | None, first_notebook: str) -> Figures:
    """Ask the running installation; what can't be had is left out, a figure is never worth a failure."""
    kubectl: list[str | Path] = [world.kit().kubectl, "--kubeconfig", world.paths.kubeconfig, "-n", SYSTEM]

    def ask(*words: str) -> str:
        try:
            return output([*kubectl, *words], timeout=30)
        except StepFailed:
            return ""

    def memory(component: str, program: str) -> float | None:
        pod = ask("get", "pod", "-l", f"app.kubernetes.io/component={component}", "-o", "name").partition("\n")[0]
        find = f"for p in /proc/[0-9]*; do grep -qa '{program}' $p/cmdline && cat $p/status; done; true"
        return resident_mb(ask("exec", pod, "--", "sh", "-c", find)) if pod else None

    seconds = re.search(r"answered ([\d.]+) s", first_notebook)
    log = ask("logs", "-l", "app.kubernetes.io/component=node", "--tail=400")
    return Figures(
        apply_to_ready,
        # of a hub that was there before, the server most often is too: then there was no start
        float(seconds[1]) if seconds and apply_to_ready is not None else None,
        publish_ms(log),
        memory("operator", "pdshub-operator"),
        memory("node", "pdshub-node"),
    )


def tell(world: World) -> None:
    """Print the figures of the demo hub, and where those of the last benchmark are."""
    file = world.paths.cluster / "figures.json"
    if not file.exists():
        return
    print(
        "\nFigures of this hub:\n" + "\n".join(f"  {line}" for line in lines(Figures(**json.loads(file.read_text()))))
    )
    if (BENCHMARKS / "hub.md").exists():
        print("  over many users, with and without the archive: docs/benchmarks/hub.md (./hack/bench hub)")


def write_steps(known: Mapping[str, Mapping[str, float]], machine: str) -> None:
    """docs/benchmarks/up.json and up.md: the last cold and warm time of each step of hack/up, in seconds."""
    BENCHMARKS.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "steps": known}
    (BENCHMARKS / "up.json").write_text(json.dumps(document, indent=1) + "\n")
    rows = []
    for name, times in known.items():
        cold, warm = (times.get(kind, times.get("run")) for kind in ("cold", "warm"))
        rows.append(f"| {name} | {'' if cold is None else f'{cold} s'} | {'' if warm is None else f'{warm} s'} |")
    head = (
        "# Figures of hack/up\n\nWritten by `./hack/bench up` from the record of the runs in the cache; raw data in\n"
        f"up.json. {machine}. Steps run side by side in lanes, so their sum is more than the whole.\n\n"
        "| step | cold | warm |\n|---|---|---|\n"
    )
    (BENCHMARKS / "up.md").write_text(head + "\n".join(rows) + "\n")


def keep(world: World, found: Figures) -> None:
    """Keep the figures beside the cluster, for :func:`tell` of this run and later ones."""
    file = world.paths.cluster / "figures.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    after = {name: value if value is not None else before.get(name) for name, value in asdict(found).items()}
    file.write_text(json.dumps(after) + "\n")
