"""HubRestores into the home that is moved: what they bring while it is copied would stay in the former volume alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import backup_run, users_act
from pdshub.cli.archive import CliError
from pdshub.cli.backup_run import RESTORES
from pdshub.cli.kubectl import Kubectl

Json = dict[str, Any]
OVER = ("Completed", "PartiallyCompleted", "Failed")
PATIENCE = 180.0
"""Seconds in which one that is under way has to end."""


def _part(found: Json, name: str) -> Json:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _name(restore: Json) -> str:
    return printable(str(restore["metadata"]["name"]))


def _under_way(found: list[Json]) -> str:
    """The name of one that is still to be done; empty where all are over."""
    return next((_name(one) for one in found if _part(one, "status").get("phase") not in OVER), "")


def refuse(kubectl: Kubectl, namespace: str, hub: str, user: str) -> None:
    """Before anybody is stopped. Raises CliError where something comes back into the home now; KubectlError."""
    if name := _under_way(Restores(kubectl, namespace, hub, user).found()):
        raise CliError(f"HubRestore {name} brings something back into the home of {user}: first let it end")


@dataclass
class Restores:
    """Those into one home, whoever asked for them."""

    kubectl: Kubectl
    namespace: str
    hub: str
    user: str
    sleep: Callable[[float], None] = lambda seconds: None
    clock: Callable[[], float] = lambda: 0.0
    known: frozenset[str] | None = None
    """Those that were over when the copying began: what they brought is copied. None: it has not begun."""

    def found(self) -> list[Json]:
        """All of them. Raises KubectlError."""
        of = {"hub": self.hub, "user": self.user}
        every = self.kubectl.items(RESTORES, "-n", self.namespace)
        return [one for one in every if of.items() <= _part(one, "spec").items()]

    def quiet(self) -> None:
        """Waits until none is under way; from now on others are new. Raises CliError, KubectlError."""
        end, told = self.clock() + PATIENCE, ""
        while name := _under_way(found := self.found()):
            if self.clock() >= end:
                raise CliError(f"HubRestore {name} still brings something back into the home of {self.user}")
            if name != told:
                users_act.tell(f"HubRestore {name} brings something back into the home of {self.user}: its end first")
            told = name
            self.sleep(backup_run.POLL_SECONDS)
        self.known = frozenset(map(_uid, found))

    def new(self) -> list[str]:
        """Names of those that were asked for since. Raises KubectlError."""
        return [] if self.known is None else [_name(one) for one in self.found() if _uid(one) not in self.known]


def _uid(restore: Json) -> str:
    return str(restore["metadata"].get("uid") or restore["metadata"]["name"])
