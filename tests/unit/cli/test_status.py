"""``kubectl pdshub status``, ``--version``, ``suspend``, ``resume`` and ``reinstall``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.api.status import good_status
from pdshub.cli import status_words, suspend, version
from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.backup_cluster import ADA
from tests.unit.cli.day_two_cluster import DayTwoCluster
from tests.unit.cli.fake_cluster import Object, census, condition
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

VIEW = {
    "metadata": {"name": "hub-sbn"},
    "status": {
        "generation": {"name": "sha256:" + "b" * 64, "asOf": "2026-11-20T00:00:00Z"},
        "candidate": {"name": "sha256:" + "a" * 64, "reason": "WaitsForApproval"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodes": [
            {"name": "n1", "targets": 2, "generation": "sha256:" + "b" * 64, "message": "servers that still use it: 1"},
            {"name": "n2", "targets": 1, "generation": "sha256:" + "c" * 64},
            {"name": "n3", "targets": 1, "generation": "sha256:" + "b" * 64},
            {"name": "n4", "targets": 0, "generation": "sha256:" + "c" * 64, "message": "away"},
        ],
    },
}
NOW = 1795651200.0  # 2026-11-26T00:00:00Z


def hub(*conditions: Object, spec: Object | None = None, **status: Any) -> Object:
    return {
        "metadata": {"name": "sbn", "namespace": "hub", "generation": 1},
        "spec": {"users": {}, **(spec or {})},
        "status": {"conditions": list(conditions), **status},
    }


def said(kind: str, status: str, reason: str = "R", message: str = "m") -> Object:
    return condition(kind, status, reason, message, 1)


# --- what is in the way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "blocks", "to_do"),
    [
        ([], [], []),
        ([said("Ready", "True"), said("Stalled", "False"), said("Drifted", "False")], [], []),
        ([said("Ready", "False"), said("Stalled", "True")], ["Ready"], []),  # one message: said once
        ([said("Ready", "False", message="a"), said("Stalled", "True", message="b")], ["Ready", "Stalled"], []),
        ([said("UsersKnown", "False", message="a"), said("Ready", "True")], ["UsersKnown"], []),
        ([said("KeyEscrowed", "False"), said("NetworkEnforced", "Unknown", message="b")], [],
         ["KeyEscrowed", "NetworkEnforced"]),
        ([said("Reconciling", "True")], [], []),
        ([said("Suspended", "True")], ["Suspended"], []),
        ([said("Drifted", "True")], [], ["Drifted"]),
        ([{"type": "Ready"}, "no condition"], [], []),
    ],
)  # fmt: skip
def test_in_the_way(conditions: list[Any], blocks: list[str], to_do: list[str]) -> None:
    found = status_words.in_the_way(hub(*conditions))
    assert tuple([one["type"] for one in part] for part in found) == (blocks, to_do)


@pytest.mark.parametrize(
    ("kind", "good"), [("Ready", "True"), ("Stalled", "False"), ("Suspended", "False"), ("BackedUp", "True")]
)
def test_which_status_is_good(kind: str, good: str) -> None:
    assert good_status(kind) == good


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (hub(said("Ready", "True"), address="https://sbn"), "hub hub/sbn: ready  https://sbn"),
        (hub(said("Suspended", "True"), said("Ready", "True")), "hub hub/sbn: suspended"),
        (hub(said("Stalled", "True"), said("Ready", "False")), "hub hub/sbn: stalled"),
        (hub(said("RolledBack", "True"), said("Ready", "True")), "hub hub/sbn: rolled back"),
        (hub(said("Reconciling", "True")), "hub hub/sbn: working"),
        (hub(), "hub hub/sbn: not ready"),
        (hub(version="jupyterhub-4.4.0", revision=3), "release      jupyterhub-4.4.0, revision 3, not looked at yet"),
        (hub(said("Released", "False", "ChartNotFound")), "release      NO (ChartNotFound)"),
        (hub(spec={"archive": {"viewRef": "sbn"}}), "archive      sbn, not looked at yet"),
        (hub(spec={"archive": {"inline": {}}}), "hub-sbn: users see bbbbbbbbbbbb as of 2026-11-20T00:00:00Z, "
         "aaaaaaaaaaaa waits (WaitsForApproval)"),
        (hub(spec={"archive": {"inline": {}}}), "node n1, 2 servers: servers that still use it: 1\n"
         "               node n2, 1 servers: shows cccccccccccc still\n  users"),
        (hub(), "archive      none"),
        (hub(users=3), "users        3 on the list, 1 servers"),
        (hub(), "storage      2 homes of 30.0Gi, 1 that nobody needs"),
        (hub(), "backups      none: spec.backup is not set"),
        (hub(said("BackedUp", "Unknown", "NoneYet"), spec={"backup": {"x": 1}}), "backups      not known (NoneYet)"),
        (hub(said("CertificateReady", "True", "Valid"), certificate={"notAfter": "2026-12-06T12:00:00Z"}),
         "certificate  10 days left, Valid"),
        (hub(said("CertificateReady", "False", "Expired"), certificate={"notAfter": "2026-11-25T00:00:00Z"}),
         "certificate  -1 days left, NO (Expired)"),
        (hub(said("UsersKnown", "False", "SourceMissing", "gone")), "BLOCKS       UsersKnown, SourceMissing: gone"),
        (hub(said("KeyEscrowed", "False", "NotDeclared", "where")), "to do        KeyEscrowed, NotDeclared: where"),
        (hub(), "nothing blocks"),
    ],
)  # fmt: skip
def test_the_screen(found: Object, line: str) -> None:
    from pdshub.cli import census as counted

    homes = [{"claim": "claim-ada", "size": "20Gi"}, {"claim": "claim-old", "size": "10Gi", "orphan": True}]
    people = [{"name": ADA, "server": "running"}, {"name": "bela"}]
    summary = status_words.summary(found, counted.read(census(homes=homes, users=people)), [VIEW], NOW)
    screen = status_words.screen(summary)
    assert line in screen, screen
    assert len(screen.splitlines()) <= 24, "one screen"
    assert summary.keys() == status_words.summary(hub(), counted.Census(), [], NOW).keys()


def test_all_hubs_or_one(call: Call) -> None:
    where = DayTwoCluster(("view", VIEW))
    code, out, err = call(where, "status")
    assert code == 0 and "hub hub/sbn: " in out and "VIEW" in out, err
    code, out, _ = call(where, "status --hub hub/sbn")
    assert code == 0 and "VIEW" not in out
    answer = json.loads(call(where, "status -o json")[1])
    assert answer["summary"][0]["name"] == "sbn" and answer["hubs"] and answer["views"]
    assert call(where, "status --hub hub/other")[0] == 1
    assert "no hubs" in call(where, "status -n other")[1]


def test_a_status_that_draws(call: Call) -> None:
    where = DayTwoCluster()
    where.set(works=False)
    where.found("pdshub", "sbn")["status"] = {
        "address": NASTY, "version": NASTY, "certificate": {"notAfter": NASTY},
        "conditions": [said("Ready", "False", NASTY, NASTY), said("KeyEscrowed", "False", NASTY, NASTY + "x")],
    }  # fmt: skip
    harmless(call(where, "status")[1])


# --- versions --------------------------------------------------------------------------------------------------------

DEPLOYMENT: Object = {
    "metadata": {"name": "pdshub-operator", "namespace": "pdshub-system", "labels": {"helm.sh/chart": "pdshub-0.1.0"}},
    "spec": {"template": {"spec": {"containers": [{"image": "registry/pdshub:x"}]}}},
}
RUNNING: Object = {
    "metadata": {"name": "pdshub-operator-abc", "namespace": "pdshub-system"}, "status": {"phase": "Running"},
}  # fmt: skip
METRICS = "/api/v1/namespaces/pdshub-system/pods/pdshub-operator-abc:8080/proxy/metrics"
CRD: Object = {"metadata": {"name": "pdshubs.pdshub.dev"}, "spec": {"versions": [{"name": "v1alpha1"}]}}


def installed(operator: str = "0.1.0", *, crd: bool = True) -> DayTwoCluster:
    where = DayTwoCluster(("deployment", DEPLOYMENT), ("pod", RUNNING), *([("crd", CRD)] if crd else []))
    if operator:
        where.set(raw={METRICS: f'# HELP x\npdshub_operator_info{{version="{operator}"}} 1.0\n'})
    return where


@pytest.mark.parametrize(
    ("where", "plugin", "lines"),
    [
        (installed(), "0.1.0", ["operator:       0.1.0", "chart:          0.1.0", "Kubernetes:     v1.34.2",
                                "nothing differs"]),
        (installed(), "0.2.0", ["DIFFERS: the plugin is 0.2.0 and the operator 0.1.0: install the plugin of 0.1.0"]),
        (installed("0.2.0"), "0.2.0", ["DIFFERS: the operator is 0.2.0 and its chart 0.1.0"]),
        (installed(), "0+source", ["nothing differs"]),
        (installed(""), "0.1.0", ["operator:       not known", "nothing compared", "note: the operator's version:"]),
        (installed(crd=False), "0.1.0", ["DIFFERS: the cluster has no pdshubs.pdshub.dev"]),
        (DayTwoCluster(), "0.1.0", ["operator:       none in namespace pdshub-system", "nothing compared"]),
        (installed("\x1b[2J"), "0.1.0", [r"\x1b[2J"]),
    ],
)  # fmt: skip
def test_versions(
    call: Call, monkeypatch: pytest.MonkeyPatch, where: DayTwoCluster, plugin: str, lines: list[str]
) -> None:
    monkeypatch.setattr(version, "client", lambda: plugin)
    code, out, err = call(where, "--version")
    assert code == 0, err
    assert all(line in out for line in [f"kubectl-pdshub: {plugin}", *lines]), out
    harmless(out)
    assert json.loads(call(where, "--version -o json")[1])["client"] == plugin


@pytest.mark.parametrize(
    ("label", "found"),
    [("pdshub-0.1.0", "0.1.0"), ("pdshub-0.1.0_b1", "0.1.0+b1"), ("other-1.0", ""), ("pdshub-\x1b", ""), (None, "")],
)
def test_the_chart_of_a_label(label: Any, found: str) -> None:
    assert version.chart_of({"metadata": {"labels": {"helm.sh/chart": label}}}) == found


# --- suspend, resume, reinstall --------------------------------------------------------------------------------------


class Operated(DayTwoCluster):
    """An operator that goes by spec.suspend at each look, and installs once anew when it ends."""

    def __init__(self, *, away: bool = False, stalls: bool = False, **spec: Any) -> None:
        super().__init__(**spec)
        self.__dict__.update(away=away, stalls=stalls, revision=3, was=spec.get("suspend", False), seen=[])
        self.does("pdshub", Operated.look)

    away: bool
    stalls: bool
    revision: int
    was: bool
    seen: list[bool]

    def look(self: Any, found: Object) -> None:
        on = found["spec"].get("suspend") is True
        if self.away:
            return
        if self.was is not on:
            self.seen.append(on)
        if self.was and not on:
            self.__dict__["revision"] += 1
        self.__dict__["was"] = on
        kinds = [("Ready", "True"), ("Released", "True"), ("Reconciling", "False")]
        kinds = [("Ready", "False"), ("Stalled", "True")] if self.stalls and not on else kinds
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"], "revision": self.revision, "version": "jupyterhub-4",
            "conditions": [said(*kind) for kind in [*kinds, *([("Suspended", "True")] if on else [])]],
        }  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspend, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(suspend, "SEEN_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("where", "line", "code", "words", "after", "seen"),
    [
        (Operated(), "suspend", 0, "is suspended: nothing is installed", True, [True]),
        (Operated(suspend=True), "suspend", 0, "suspended already", True, []),
        (Operated(away=True), "suspend --timeout 0", 3, "has not taken note", True, []),
        (Operated(), "suspend --no-wait", 0, "asked to suspend", True, []),
        (Operated(), "suspend --dry-run", 0, "would suspend", None, []),
        (Operated(suspend=True), "resume", 0, "is ready: jupyterhub-4, revision", False, [False]),
        (Operated(), "resume", 0, "is not suspended", None, []),
        (Operated(suspend=True, stalls=True), "resume", 1, "stands still: R: m", False, [False]),
        (Operated(), "reinstall --yes", 0, "revision 4", False, [True, False]),
        (Operated(), "reinstall", 2, "Nobody is there to be asked", None, []),
        (Operated(), "reinstall --dry-run", 0, "would reinstall", None, []),
        (Operated(suspend=True), "reinstall --yes", 1, "somebody wanted it so", True, []),
        (Operated(stalls=True), "reinstall --yes", 1, "stands still", False, [True, False]),
        (Operated(away=True), "reinstall --yes", 3, "took no note of it", False, []),
        (Operated(), "reinstall --yes --no-wait", 0, "asked to reinstall", False, [True]),
    ],
)
def test_suspension(
    call: Call, where: Operated, line: str, code: int, words: str, after: bool | None, seen: list[bool]
) -> None:
    got, out, err = call(where, line)
    assert (got, words in out + err) == (code, True), out + err
    found = where.found("pdshub", "sbn")
    assert found["spec"].get("suspend") is after and where.seen == seen
    if after is not None and "already" not in words and "wanted" not in words:
        note = json.loads(found["metadata"]["annotations"][CHANGED_BY])
        assert note["command"] == line.split()[0] and note["by"] == "ada@desk"


def test_a_reinstall_that_is_interrupted_leaves_no_suspended_hub(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    where = Operated()
    monkeypatch.setattr(suspend, "wait", interrupted)
    assert call(where, "reinstall --yes")[0] == 130
    assert where.found("pdshub", "sbn")["spec"]["suspend"] is False


def test_a_hub_that_went_back_is_not_installed_anew(call: Call) -> None:
    where = Operated()
    where.set(works=False, away=True)
    where.found("pdshub", "sbn")["status"] = {"conditions": [said("RolledBack", "True")]}
    code, _, err = call(where, "reinstall --yes")
    assert code == 1 and "rollback --end" in err
