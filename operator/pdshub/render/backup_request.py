"""What a backup Job is asked to do, from the spec of its hub and the run that it is part of."""

from __future__ import annotations

from typing import Literal

from pdshub.api.backup import HubBackupSpec, HubRestoreSpec
from pdshub.api.backup_job import JobRequest, Keep
from pdshub.api.hub_backup import CACHES, ENVIRONMENTS, Backup, Exclude
from pdshub.render.backup_repository import Place
from pdshub.render.names import Names

How = Literal["", "Snapshot", "InUse", "Stopped", "SQLite"]
HOME, DATABASE, KEYS, OBJECTS = "home", "database", "keys", "objects"
"""Folders below DATA, and the items that are saved from them."""
_HOME_ITEM = f"{HOME}/"


def home_item(user: str) -> str:
    """The item of a user's home."""
    return f"{_HOME_ITEM}{user}"


def user_of(item: str) -> str:
    """Whose home an item is; empty for one that is none."""
    return item.removeprefix(_HOME_ITEM) if item.startswith(_HOME_ITEM) else ""


def source_of(item: str) -> str:
    """The folder below DATA that an item is saved from."""
    return HOME if user_of(item) else item


def excludes(exclude: Exclude) -> list[str]:
    """What is left out of a home: patterns below it, as the program of Jobs takes them.

    ``/x`` is x at the home's top, ``x`` is x at any depth. Where the home lies in the pod is the program's to know: a
    pattern that restic sees bare matches anywhere in the absolute path.
    Source: restic, Backing up, Excluding files.
    """
    named = [*(CACHES if exclude.caches else ()), *(ENVIRONMENTS if exclude.environments else ())]
    found = [f"/{name}" if "/" in name else name for name in named]
    return list(dict.fromkeys([*found, *exclude.patterns]))


def _request(backup: Backup, where: Place, names: Names, run: str, **more: object) -> JobRequest:
    fields: dict[str, object] = {
        "hub": f"{names.namespace}/{names.name}",
        "run": run,
        "location": where.location,
        "kind": where.kind,
        "port": where.port,
        "region": where.region,
        "ca": where.ca is not None,
        "append_only": where.append_only,
        "deadline_seconds": backup.deadline_minutes * 60,
        "upload_limit_kib": backup.upload_limit_kib or 0,
    }
    return JobRequest.model_validate({**fields, **more})


def of_init(backup: Backup, where: Place, names: Names, run: str) -> JobRequest:
    """The repository is made, or found to be there and to take the key."""
    return _request(backup, where, names, run, action="init")


def of_item(
    backup: Backup, where: Place, names: Names, run: str, spec: HubBackupSpec, item: str, how: How
) -> JobRequest:
    """One item is saved."""
    left_out: dict[str, object] = {}
    if user_of(item):
        left_out = {"exclude": excludes(backup.exclude), "larger_than": backup.exclude.larger_than or ""}
    kept = {"keep_always": spec.keep, "before_upgrade": spec.trigger == "PreUpgrade"}
    more = {"action": "backup", "item": item, "source": source_of(item), "how": how}
    return _request(backup, where, names, run, **more, **kept, **left_out)


def of_forget(backup: Backup, where: Place, names: Names, run: str, upgrades: int) -> JobRequest:
    """Snapshots that nothing keeps go, and with them data that no other has. ``upgrades``: from before as many of them
    snapshots stay in any case."""
    kept = backup.retention
    keep = Keep(
        last=kept.keep_last, daily=kept.keep_daily, weekly=kept.keep_weekly, monthly=kept.keep_monthly,
        upgrades=upgrades,
    )  # fmt: skip
    return _request(backup, where, names, run, action="forget", keep=keep)


def of_restore(backup: Backup, where: Place, names: Names, run: str, spec: HubRestoreSpec) -> JobRequest:
    """A user's home, or a part of it, comes back."""
    return _request(
        backup,
        where,
        names,
        run,
        action="restore",
        item=home_item(spec.user),
        source=HOME,
        snapshot=spec.snapshot or "latest",
        as_of=spec.as_of or "",
        path=spec.path,
        to=spec.to,
        in_place=spec.in_place,
    )
