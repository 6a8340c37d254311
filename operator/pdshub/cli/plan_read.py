"""The figures of a hub for a plan: what its spec says, what the operator counted, what kubelets and views tell.

Each figure has how it is known. What a person writes comes first, then what is measured, then the spec, then a guess
that is said to be one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from pdshub.aws_plan.plan import HEADROOM
from pdshub.aws_plan.prices import HOURS
from pdshub.aws_plan.usage import GIB, Figure, How, Usage
from pdshub.cli import archive, plan_peaks, users, volume_use
from pdshub.cli.census import Census, quantity
from pdshub.cli.hub_choice import key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import GROUP

Json = Mapping[str, Any]
SHARE_AT_ONCE, BUSY_HOURS, LEAST_CORES, CORES = 0.25, 176.0, 0.1, 0.5
"""Part of the people who work at a time; hours of 22 days of 8; cores that a server is planned with at least, and those
of one of which nothing is known."""
HOME_SHARE, READ_SHARE, EGRESS_PER_USER = 0.3, 0.1, 2 * GIB
"""What is in a home that does not tell, what of an archive is read in a month, and bytes that go out to each person."""
_ABSURD = 1 << 60
MEMORY, HOME, INTERVAL = "4Gi", "10Gi", 3600
"""What a PDSHub has that says nothing (api.hub)."""


def read(kubectl: Kubectl, hub: Json, args: argparse.Namespace) -> tuple[Usage, list[str]]:
    """The figures, and what could not be read. Raises KubectlError where nothing at all can be."""
    namespace, _ = key(dict(hub))
    census, notes = users.counted(kubectl, dict(hub))
    peaks = _peaks(kubectl, namespace, args)
    view, why = _view(kubectl, hub)
    notes += [*peaks.notes, *why]
    people = _people(hub, census)
    homes, home_bytes, home_used, more = _homes(kubectl, namespace, hub, census, people)
    archive_bytes, archive_files = _archive(view, args)
    found = Usage(
        users=people,
        at_once=_at_once(hub, people, peaks, args),
        busy_hours=_given(args.busy_hours, "--busy-hours") or Figure(BUSY_HOURS, How.ASSUMED, "22 days of 8 hours"),
        memory=_memory(hub, peaks, args),
        cores=_cores(peaks, args),
        largest_memory=Figure(_largest(hub), How.SPEC, "spec.server.resources and profiles"),
        homes=homes,
        home_bytes=home_bytes,
        home_used=home_used,
        archive_bytes=archive_bytes,
        archive_files=archive_files,
        read_bytes=_given(args.reads, "--reads")
        or Figure(archive_bytes.value * READ_SHARE, How.ASSUMED, "a tenth of the archive"),
        egress_bytes=_given(args.egress, "--egress")
        or Figure(people.value * EGRESS_PER_USER, How.ASSUMED, "2 GiB for each of the people"),
        surveys=_surveys(view),
    )
    return found, [*notes, *more]


def _map(value: Any, *path: str) -> Json:
    """What a path leads to in an object, {} where it is no object: what others wrote is not believed to be one."""
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _positive(value: Any) -> int:
    """A whole number above 0 that may be one of something; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _ABSURD else 0


def _given(number: float | None, flag: str) -> Figure | None:
    return None if number is None else Figure(float(number), How.GIVEN, flag)


def _peaks(kubectl: Kubectl, namespace: str, args: argparse.Namespace) -> plan_peaks.Peaks:
    """A Prometheus' month where one is named, and the kubelets for what it does not tell."""
    now = plan_peaks.of_kubelets(kubectl, namespace)
    if args.prometheus is None:
        return now
    month = plan_peaks.of_prometheus(kubectl, args.prometheus, namespace)
    month.running = now.running
    if month.memory is None and month.cores is None:
        month.memory, month.cores, month.source = now.memory, now.cores, now.source
        month.notes += now.notes
    return month


def _people(hub: Json, census: Census) -> Figure:
    counted = _positive(_map(hub, "status").get("users"))
    if counted:
        return Figure(float(counted), How.MEASURED, "status.users of the hub")
    listed = sum(1 for user in census.users if user.listed)
    if listed:
        return Figure(float(listed), How.MEASURED, f"the operator's census of {census.time}")
    said = _map(hub, "spec", "users")
    names = {name for role in ("allowed", "admins") for name in said.get(role) or [] if isinstance(name, str)}
    return Figure(float(max(1, len(names))), How.SPEC, "spec.users")


def _at_once(hub: Json, people: Figure, peaks: plan_peaks.Peaks, args: argparse.Namespace) -> Figure:
    if given := _given(args.at_once, "--at-once"):
        return given
    if peaks.at_once:
        return Figure(peaks.at_once, How.MEASURED, peaks.source)
    quota = _positive(_map(hub, "spec", "quota").get("servers"))
    guess = max(1.0, people.value * SHARE_AT_ONCE, float(peaks.running or 0))
    why = f"a quarter of the people; {peaks.running if peaks.running is not None else 'unknown how many'} run now"
    if 0 < quota < guess:
        return Figure(float(quota), How.SPEC, "spec.quota.servers")
    return Figure(float(-int(-guess // 1)), How.ASSUMED, why)


def _memory(hub: Json, peaks: plan_peaks.Peaks, args: argparse.Namespace) -> Figure:
    if given := _given(args.memory, "--memory"):
        return given
    if peaks.memory:
        return Figure(peaks.memory * HEADROOM, How.MEASURED, f"{peaks.source}; a quarter more")
    limit = _limit(_map(hub, "spec", "server")) or quantity(MEMORY)
    return Figure(float(limit), How.SPEC, "the limit of a server: nothing tells what they take")


def _cores(peaks: plan_peaks.Peaks, args: argparse.Namespace) -> Figure:
    if given := _given(args.cores, "--cores"):
        return given
    if peaks.cores:
        return Figure(max(LEAST_CORES, peaks.cores * HEADROOM), How.MEASURED, f"{peaks.source}; a quarter more")
    return Figure(CORES, How.ASSUMED, "half a core: nothing tells what they take")


def _limit(of: Any) -> int:
    """Bytes of a limit of memory; 0 for none."""
    found = _map(of, "resources", "memory").get("limit")
    return quantity(str(found)) if isinstance(found, str | int) and not isinstance(found, bool) else 0


def _largest(hub: Json) -> float:
    server = _map(hub, "spec", "server")
    profiles = server.get("profiles")
    limits = [_limit(server), *map(_limit, profiles if isinstance(profiles, list) else [])]
    return float(max(limits) or quantity(MEMORY))


def _homes(
    kubectl: Kubectl, namespace: str, hub: Json, census: Census, people: Figure
) -> tuple[Figure, Figure, Figure, list[str]]:
    """Homes, their bytes, and what is in them, with what could not be read."""
    size = _map(hub, "spec", "server", "home").get("size")
    each = quantity(str(size or HOME)) or quantity(HOME)
    if not census.homes:
        count, whole = Figure(people.value, How.ASSUMED, "one for each of the people"), people.value * each
        asked = Figure(whole, How.SPEC, "spec.server.home.size for each")
        return count, asked, Figure(whole * HOME_SHARE, How.ASSUMED, "three tenths of their size"), []
    use = volume_use.read(kubectl, namespace)
    used, told = 0.0, 0
    for home in census.homes:
        known, _ = use.of(home.claim)
        told += known is not None
        used += (home.bytes or each) * HOME_SHARE if known is None else known
    why = f"{told} of {len(census.homes)} tell, the rest three tenths of their size"
    how = How.MEASURED if told == len(census.homes) else How.ASSUMED
    source = f"the operator's census of {census.time}"
    return (
        Figure(float(len(census.homes)), How.MEASURED, source),
        Figure(float(sum(home.bytes or each for home in census.homes)), How.MEASURED, source),
        Figure(used, how, why),
        list(use.notes),
    )


def _view(kubectl: Kubectl, hub: Json) -> tuple[Json | None, list[str]]:
    """The hub's archive view: the one that it names, or its own, which has its labels."""
    namespace, name = key(dict(hub))
    said = _map(hub, "spec").get("archive")
    if not isinstance(said, Mapping):
        return None, []
    try:
        found = kubectl.items(archive.VIEWS)
    except KubectlError as error:
        return None, [f"how large the archive is is not known, views can not be read: {error}"]
    for view in found:
        meta = view["metadata"]
        labels = _map(meta, "labels")
        own = (labels.get(f"{GROUP}/namespace"), labels.get(f"{GROUP}/hub")) == (namespace, name)
        if meta.get("name") == said.get("viewRef") or (own and not said.get("viewRef")):
            return view, []
    return None, ["how large the archive is is not known: the hub has no view yet"]


def _archive(view: Json | None, args: argparse.Namespace) -> tuple[Figure, Figure]:
    """Bytes and files of the archive. They are of what users see: a superseded copy is not counted."""
    counts = _map(view, "status", "generation", "counts")

    def figure(name: str, given: float | None, flag: str) -> Figure:
        found = _positive(counts.get(name))
        if given is not None:
            return Figure(given, How.GIVEN, flag)
        if found:
            return Figure(float(found), How.MEASURED, "what users see, of the released generation")
        return Figure(0.0, How.ASSUMED, f"no generation tells: say it with {flag}")

    return (
        figure("bytes", args.archive_bytes, "--archive-bytes"),
        figure("files", args.archive_files, "--archive-files"),
    )


def _surveys(view: Json | None) -> Figure:
    """Surveys of a month, by the view's interval."""
    seconds = _positive(_map(view, "spec", "survey").get("intervalSeconds")) or INTERVAL
    return Figure(float(HOURS) * 3600 / seconds, How.SPEC, f"one in {seconds} seconds")
