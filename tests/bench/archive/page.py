"""docs/benchmarks/archive.md from archive.json. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests.bench.archive.bars import Bar, of_local, of_survey, of_views
from tests.bench.bench_survey import BARS

CONTENDERS = ("NFS", "overlayfs", "mergerfs", "unionfs-fuse", "catalog")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in [*lines, *map(list, rows)])


def bars(document: dict[str, Any]) -> list[Bar]:
    found: list[Bar] = []
    if "views" in document:
        found += of_views(document["views"])
    if "survey" in document:
        found += of_survey(document["survey"], BARS)
    if "local" in document:
        found += of_local(document["local"])
    return found


def _where(half: dict[str, Any]) -> str:
    run = half["run"]
    return (
        f"{run['date']}, {run['cpu']}, {run['cores']} cores, load before {run['loadBefore']}, after {run['loadAfter']}"
    )


def _shared(half: dict[str, Any]) -> Iterator[str]:
    run = half["run"]
    if run["loadBefore"] > run["cores"] / 2:
        yield (
            f"Other work shared the machine: before the run a load of {run['loadBefore']} on {run['cores']} cores. "
            "Times are longer than they would be alone; counts are not touched by it."
        )


def _cell(one: dict[str, Any] | None, value: Any) -> str:
    if one is None:
        return "-"
    other = "" if one["value"] == value else " (shows something else)"
    return f"{one['seconds']:.2f} s, {one['calls']:,}{other}"


def _views(views: dict[str, Any]) -> Iterator[str]:
    machine = views["machine"]
    yield "## Views over kernel NFS"
    yield (
        f"{_where(views)}. Virtual machine: Linux {machine['kernel']}, {machine['accelerator']}, {machine['cores']} "
        f"cores, {machine['memoryMB']:,} MB. Archive: {machine['files']:,} labels and data files of 2 kB, 50 FITS "
        f"files of 128 kB, one file of {machine['sizeMB']} MB, on a tmpfs that kernel nfsd exports over NFSv4.2; `tc "
        "netem` delays the loopback device. Every contender has an NFS mount of its own with the node plugin's "
        "options; the unions join it with an empty directory, the least that they can be asked for. Catalog: "
        f"`pdshub-survey plan` and `catalog`, mounted by the node plugin's code ({views['form']}). Versions: "
        f"{', '.join(machine.get('packages', [])) or 'unknown'}."
    )
    if machine["accelerator"] != "KVM":
        yield (
            "The processor is emulated: times hold processor time many times over, so that ratios of times are smaller "
            "than on a real machine where waiting is all; calls are exact."
        )
    yield from _shared(views)
    yield "Cold: mounted anew, caches dropped. A cell is the median time and the NFS calls of one run."
    for delay, found in sorted(views["views"].items()):
        yield f"### {delay} ms round trip"
        rows = []
        for what, work in found.items():
            value = work.get("NFS", {}).get("value")
            rows.append([what, *(_cell(work.get(name), value) for name in CONTENDERS)])
        yield table(["work", *CONTENDERS], rows)
    yield "### Pairs, 0.5 ms"
    yield (
        "An NFS mount, and the catalog over this very mount, in turn; speed of the catalog as a share of NFS's (1 is "
        "equal, less is slower), bounds by order statistics. READ calls and bytes are those of one run."
    )
    rows = []
    for what, pair in views["pairs"].items():
        reads = pair["reads"]
        rows.append(
            [
                what,
                str(pair["pairs"]),
                f"{pair['median']:.3f}",
                f"{pair['bounds95'][0]:.3f} to {pair['bounds95'][1]:.3f}",
                *(f"{reads[n]['calls']:,} / {reads[n]['bytes']:,} / {reads[n]['all']:,}" for n in ("NFS", "catalog")),
            ]
        )
    head = ["work", "pairs", "median", "95% bounds", "NFS: READ / bytes / all calls", "catalog: the same"]
    yield table(head, rows)
    if views.get("refused"):
        yield "Not mounted: " + "; ".join(f"{name}: {why}" for name, why in views["refused"].items()) + "."
    if views.get("skipped"):
        yield "Not measured, time was up: " + "; ".join(views["skipped"]) + "."
    if node := views.get("node"):
        memory = node["memoryKB"]
        yield (
            f"### One node, {node['targets']} pods\n\n{node['entries']:,} names walked. All memory that was taken (the "
            f"image's cached blocks too): {memory['fifty']['all']:,} kB with {node['targets']} walkers, "
            f"{memory['one']['all']:,} kB with one ({node['memoryRatioAll']:.2f}x). Each target has a pod's mount that "
            f"follows it; switches go back and forth between two generations."
        )


def _survey(survey: dict[str, Any]) -> Iterator[str]:
    yield "## Survey"
    yield (
        f"{_where(survey)}. {survey['entries']:,} entries, half of them labels, in 1,000 datasets on a local file "
        f"system, warm. Processor time of the program and of mkfs.erofs: survey "
        f"{survey['surveyCpuSeconds'][0]:.1f} s and {survey['surveyCpuSeconds'][1]:.1f} s, image "
        f"{survey['imageCpuSeconds'][0]:.1f} s and {survey['imageCpuSeconds'][1]:.1f} s. Second survey: "
        f"{survey['againSeconds']:.1f} s."
    )
    yield from _shared(survey)


def _local(local: dict[str, Any]) -> Iterator[str]:
    machine, content = local["machine"], local["content"]
    yield "## What travels, and distances"
    yield (
        f"{_where(local)}. Virtual machine: Linux {machine['kernel']}, {machine['accelerator']}, {machine['cores']} "
        f"cores, {machine['memoryMB']:,} MB. {content['labels']:,} labels and inventories, {content['labelBytes']:,} "
        f"bytes, all different: {content['packs']} packs of {content['packBytes']:,} bytes, {content['imageBytes']:,} "
        f"bytes of images on the node; read in {content['readSeconds']} s, images made in {content['imageSeconds']} s. "
        "NFS is mounted as the node does it, *default* with Linux' own read-ahead and one connection; *content* is the "
        "catalog whose labels are on the node."
    )
    yield from _shared(local)
    rows = []
    for what, found in local.items():
        if not isinstance(found, dict) or not any(kind in found for kind in ("content", "catalog")):
            continue
        cells = {kind: f"{one['seconds']:.2f} s, {one['calls']:,}, {one['bytesRead']:,}" for kind, one in found.items()}
        rows.append([what, *(cells.get(kind, "-") for kind in ("default", "NFS", "catalog", "content"))])
    yield table(["work, cold: time, calls, bytes by NFS", "default", "NFS", "catalog", "content"], rows)


def render(document: dict[str, Any]) -> str:
    rows = [[b.what, b.bar, b.figure, "met" if b.met else "**missed**"] for b in bars(document)]
    parts = [
        "# Archive views: figures",
        "Written by `./hack/bench archive`, with archive.json beside it, which has every run. Do not edit.",
        *(["Smoke run (`--quick`): nothing here is a figure."] if document.get("quick") else []),
        table(["what", "bar", "figure", ""], rows),
    ]
    if "views" in document:
        parts += _views(document["views"])
    if "survey" in document:
        parts += _survey(document["survey"])
    if "local" in document:
        parts += _local(document["local"])
    return "\n\n".join(parts) + "\n"
