"""``kubectl pdshub probe`` against a cluster in memory, whose pods really try the addresses that they are given."""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from pdshub import network_rules
from pdshub.cli import dial, probe, probe_pods
from pdshub.cli.archive import CliError
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.main import main, parser
from pdshub.cli.probe_pods import LABELS, Pods, Times
from pdshub.cli.reach import (
    ABSENT,
    CONTROL,
    FIXED,
    HUB,
    LISTER,
    MISSED,
    NO,
    OWN,
    PROXY,
    REACHED,
    ROLES,
    STRANGER,
    SURVEYOR,
    UNPROVEN,
    USER,
    YES,
    Declared,
    Matrix,
    Target,
)

OPERATOR = {
    "metadata": {"name": "pdshub-operator", "namespace": "pdshub-system"},
    "spec": {"template": {"spec": {"containers": [{"image": "registry/pdshub:1"}]}}},
}
HUB_OBJECT: dict[str, Any] = {
    "metadata": {"name": "demo", "namespace": "hubs", "creationTimestamp": "2026"},
    "spec": {"signIn": {"development": {}}, "archive": {"inline": {"sources": [{"nfs": {"server": "10.0.0.9"}}]}}},
}
SETTINGS = {
    "network": {"privateRanges": ["203.0.113.0/24"]},
    "archive": {"allowed": [{"server": "192.0.2.7", "exports": ["/"]}]},
}
POLICY = {"metadata": {"name": "demo-network-deny", "namespace": "hubs"}, "spec": {"podSelector": {}}}


def running(name: str, ip: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Running", "podIP": ip}}


class Cluster(Kubectl):
    """What kubectl would say; what pods would find is ``open``: by role the names of targets."""

    def __init__(self, open: dict[str, set[str]] | None = None) -> None:
        super().__init__()
        state: dict[str, Any] = {
            "open": open or {},
            "pods": {},
            "calls": [],
            "objects": {
                "pdshubs.pdshub.dev": [HUB_OBJECT],
                "deployments.apps": [OPERATOR],
                "networkpolicies.networking.k8s.io": [POLICY],
                "archiveviews.pdshub.dev": [],
                "configmaps": [],
                "component=hub": [running("hub-1", "10.244.0.3", component="hub")],
                "component=proxy": [running("proxy-1", "10.244.0.4", component="proxy")],
            },
            "refused": set(),
            "fate": {},
        }
        for key, value in state.items():
            object.__setattr__(self, key, value)

    open: dict[str, set[str]]
    pods: dict[str, dict[str, Any]]
    calls: list[list[str]]
    objects: dict[str, list[dict[str, Any]]]
    refused: set[str]
    fate: dict[str, dict[str, Any]]

    def run(self, *arguments: str, seconds: float | None = 60, stdin: str = "") -> str:
        self.calls.append(list(arguments))
        verb, what = arguments[0], arguments[1]
        if verb in self.refused or what in self.refused:
            raise KubectlError(f"Error from server (Forbidden): {verb} {what}")
        if verb == "create":
            body = json.loads(stdin)
            if body["kind"] == "Pod":
                self.pods[body["metadata"]["name"]] = body
            else:
                self.objects["configmaps"].append(body)
            return ""
        if verb == "delete":
            self.pods.clear()
            return ""
        if verb == "logs":
            return self._said(self.pods[arguments[-1]])
        if verb == "patch":
            return ""
        if verb == "auth":
            return json.dumps({"status": {"userInfo": {"username": "ada"}}})
        assert verb == "get", arguments
        if what == "configmap":
            return json.dumps({"data": {"installation.yaml": yaml.safe_dump(SETTINGS)}})
        return json.dumps({"items": self._items(arguments)})

    def _items(self, arguments: tuple[str, ...]) -> list[dict[str, Any]]:
        if arguments[1] != "pods":
            return self.objects[arguments[1]]
        label, where = arguments[arguments.index("-l") + 1], arguments[arguments.index("-n") + 1]
        if not label.startswith("pdshub.dev/probe="):
            return self.objects.get(label, [])
        found = []
        for name, body in self.pods.items():
            if body["metadata"]["namespace"] == where:
                listens = name.endswith("neighbour")
                usual = {"phase": "Running", "podIP": "10.244.0.9"} if listens else {"phase": "Succeeded"}
                found.append({**body, "status": self.fate.get(name.rpartition("-")[2], usual)})
        return found

    def _said(self, body: dict[str, Any]) -> str:
        role = body["metadata"]["name"].rpartition("-")[2]
        asked = json.loads(body["spec"]["containers"][0]["command"][-1])
        found = {
            name: ["open" if name in self.open.get(role, set()) else "closed", "" if host.startswith("$") else host]
            for name, host, _ in asked["targets"]
        }
        return f"a word of the image\n{json.dumps(found)}\n"


GOOD: dict[str, set[str]] = {
    USER: {"name service", "hub", "proxy", "internet"},
    HUB: {"name service", "API server", "proxy API", "another server"},
    PROXY: {"name service", "hub", "another server"},
}


def ask(cluster: Cluster, *line: str) -> tuple[dict[str, Any], str, int]:
    args = parser().parse_args(["probe", "hubs", *line])
    answer, text, code = probe.run(cluster, args)
    assert isinstance(answer, dict)
    return answer, text, code


# --- the matrix


def test_a_cluster_that_enforces() -> None:
    cluster = Cluster(GOOD)
    answer, text, code = ask(cluster)
    assert code == 0 and answer["reached"] == [] and answer["unproven"] == []
    cells = {name: {role: found["cell"] for role, found in row.items()} for name, row in answer["matrix"].items()}
    assert cells["API server"] == {USER: NO, HUB: YES, PROXY: NO, SURVEYOR: NO, STRANGER: NO}
    assert cells["another server"] == {USER: NO, HUB: YES, PROXY: YES, SURVEYOR: NO, STRANGER: NO}
    assert cells["internet"] == {USER: YES, HUB: NO, PROXY: NO, SURVEYOR: NO, STRANGER: NO}
    assert cells["metadata"] == dict.fromkeys(ROLES, UNPROVEN), "nothing answers: closed or not, nobody knows"
    assert cells["NAS"] == dict.fromkeys(ROLES, UNPROVEN) and "nothing closed was reached" in text
    assert cluster.pods == {}, "nothing is left"


@pytest.mark.parametrize(
    ("role", "name", "declared"),
    [
        (USER, "API server", False),
        (USER, "another server", False),
        (USER, "NAS", False),
        (USER, "metadata", False),
        (USER, "kubelet", False),
        (HUB, "NAS", False),
        (HUB, "internet", False),
        (PROXY, "API server", False),
        (SURVEYOR, "internet", False),
        (STRANGER, "hub", False),
        (HUB, "API server", True),
        (USER, "internet", True),
    ],
)
def test_what_is_reached_though_closed_is_code_1(role: str, name: str, declared: bool) -> None:
    answer, text, code = ask(Cluster({**GOOD, role: GOOD.get(role, set()) | {name}}))
    assert answer["matrix"][name][role]["declared"] is declared
    assert (code, answer["reached"]) == ((0, []) if declared else (1, [f"{role} > {name}"]))
    assert ("REACHED" in text) is not declared


def test_a_positive_control_makes_a_no_of_silence() -> None:
    answer, _, code = ask(Cluster({**GOOD, CONTROL: {"metadata", "NAS"}}), "--control", "free")
    cells = {name: {role: found["cell"] for role, found in row.items()} for name, row in answer["matrix"].items()}
    assert cells["metadata"] == {**dict.fromkeys(ROLES, NO), CONTROL: YES} and cells["NAS"][USER] == NO
    assert cells["CGNAT"][USER] == UNPROVEN and cells["CGNAT"][CONTROL] == UNPROVEN and code == 0


S3 = {"endpoint": "http://10.1.2.3:7070", "bucket": "pds", "secretRef": "local"}
RULE = {"endpoint": S3["endpoint"], "bucket": "pds", "secrets": ["local"], "ranges": ["10.1.2.3/32"]}


@pytest.fixture
def in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's archive has a source in S3, too."""
    sources = [{"nfs": {"server": "10.0.0.9"}}, {"name": "cloud", "s3": S3}]
    monkeypatch.setitem(HUB_OBJECT["spec"], "archive", {"inline": {"sources": sources}})
    monkeypatch.setitem(SETTINGS, "archive", {**SETTINGS["archive"], "buckets": [RULE]})


@pytest.mark.usefixtures("in_s3")
def test_a_bucket_is_open_to_surveyors_that_list_it_and_to_nobody_else() -> None:
    cluster = Cluster({**GOOD, LISTER: {"name service", "S3"}})
    answer, _, code = ask(cluster)
    cells = {role: found["cell"] for role, found in answer["matrix"]["S3"].items()}
    assert cells == {**dict.fromkeys(ROLES, NO), LISTER: YES} and code == 0
    assert answer["matrix"]["internet"][LISTER]["cell"] == NO and answer["unproven"] == []
    answer, _, code = ask(Cluster({**GOOD, USER: GOOD[USER] | {"S3"}, LISTER: {"internet"}}))
    assert (code, answer["reached"]) == (1, ["user > S3", "lister > internet"])
    assert answer["matrix"]["S3"][LISTER]["cell"] == MISSED


def test_a_bucket_of_aws_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"name": "cloud", "s3": {"bucket": "pds-sbn", "region": "us-east-1"}}
    monkeypatch.setitem(HUB_OBJECT["spec"], "archive", {"inline": {"sources": [source, {"s3": {"bucket": "?"}}]}})
    monkeypatch.setitem(SETTINGS, "archive", {"buckets": [{"bucket": "pds-sbn", "podIdentity": True}]})
    desk = probe._Desk(Cluster(GOOD), parser().parse_args(["probe", "hubs"]))
    assert desk.s3 == [Target("S3", "s3.us-east-1.amazonaws.com", 443)] and "not tried" in desk.notes[-1]
    declared = Declared.of({}, desk.private, desk.buckets)
    for role, open_ in ((LISTER, True), (USER, True), (SURVEYOR, False), (PROXY, False)):
        assert declared.allows(role, desk.s3[0], "52.216.0.1") is open_, role
    assert not declared.allows(LISTER, desk.s3[0], "10.0.0.1")
    assert not declared.allows(LISTER, Target("t", "52.216.0.1", 80), "52.216.0.1")


def test_without_buckets_nobody_lists_any() -> None:
    answer, _, _ = ask(Cluster(GOOD))
    assert LISTER not in answer["matrix"]["API server"] and "S3" not in answer["matrix"]


def test_a_target_of_the_callers_replaces_or_adds() -> None:
    given = ("metadata=[fd00::1]:8080", "web=198.51.100.7:80", "institution=203.0.113.7:80")
    cluster = Cluster({**GOOD, USER: GOOD[USER] | {"web", "institution"}})
    answer, _, code = ask(cluster, *(word for text in given for word in ("--target", text)))
    rows = answer["matrix"]
    assert rows["web"][USER]["cell"] == YES and rows["institution"][USER]["cell"] == REACHED and code == 1
    assert list(rows).count("metadata") == 1


@pytest.mark.parametrize("text", ["", "x", "x=", "x=:80", "=h:80", "x=h:", "x=h:0", "x=h:70000", "x=h:80a"])
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        probe.target(text)


CELLS: list[tuple[dict[str, dict[str, tuple[str, str]]], str]] = [
    ({USER: {"t": ("open", "1.1.1.1")}}, YES),
    ({USER: {"t": ("closed", "1.1.1.1")}}, MISSED),
    ({USER: {"t": ("no-name", "")}}, UNPROVEN),
    ({USER: {"t": ("open", "10.0.0.1")}}, REACHED),
    ({USER: {"t": ("closed", "10.0.0.1")}}, UNPROVEN),
    ({USER: {"t": ("closed", "10.0.0.1")}, PROXY: {"t": ("open", "10.0.0.1")}}, NO),
    ({USER: {"t": ("no-name", "")}, CONTROL: {"t": ("open", "10.0.0.1")}}, NO),
    ({USER: {"t": ("no-route", "fd00::1")}}, ABSENT),
    ({USER: {}}, ABSENT),
]


@pytest.mark.parametrize(("found", "cell"), CELLS)
def test_cells(found: dict[str, dict[str, tuple[str, str]]], cell: str) -> None:
    target = Target("t", "host.example", 80)
    assert Matrix([target], Declared.of({}, []), found).cell(USER, target) == cell


@pytest.mark.parametrize(
    ("role", "kind", "result", "cell"),
    [
        (PROXY, "proxy", "open", OWN),
        (PROXY, "proxy", "closed", NO),
        (SURVEYOR, "surveyor", "open", OWN),
        (STRANGER, "proxy", "open", REACHED),
        (STRANGER, "surveyor", "open", REACHED),
        (PROXY, "surveyor", "open", REACHED),
        (SURVEYOR, "proxy", "open", REACHED),
        (HUB, "hub", "open", REACHED),
        (USER, "server", "open", REACHED),
    ],
)
def test_a_pod_of_the_same_role_at_a_port_for_anybody_is_no_hole(role: str, kind: str, result: str, cell: str) -> None:
    target = Target("t", "10.0.0.1", 8000, kind)
    found = {role: {"t": (result, "10.0.0.1")}, CONTROL: {"t": ("open", "10.0.0.1")}}
    matrix = Matrix([target], Declared.of({}, []), found)
    assert matrix.cell(role, target) == cell and bool(matrix.reached) is (cell == REACHED)


# --- pods


@pytest.mark.parametrize("role", LABELS)
def test_pods_meet_the_restricted_standard_and_get_nobodys_requests(role: str) -> None:
    body = probe_pods.pod("abc", role, "hubs", "image:1", "demo", {"targets": []})
    spec, (container,) = body["spec"], body["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] <= 300 and spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"].keys() >= {"cpu", "memory"} and "volumes" not in spec
    assert container["readinessProbe"]["exec"]["command"] == ["false"]
    labels = body["metadata"]["labels"]
    assert labels["pdshub.dev/probe"] == "abc" and "pdshub.dev/hub" not in labels and "pdshub.dev/view" not in labels
    if role in (HUB, PROXY):
        assert not {"app", "release"} & labels.keys(), "the Services of a hub choose by these"
    assert json.loads(container["command"][-1]) == {"targets": []}


@pytest.mark.parametrize(
    ("fate", "says"),
    [
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "ErrImagePull",
        ),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}]},
            "no node",
        ),
        ({"phase": "Running"}, "it is Running"),
    ],
)
def test_a_pod_that_does_not_run_says_why_and_all_are_removed(
    monkeypatch: pytest.MonkeyPatch, fate: dict[str, Any], says: str
) -> None:
    cluster = Cluster(GOOD)
    cluster.fate[USER] = fate
    monkeypatch.setattr(probe, "Times", lambda settle: Times(settle=settle, start=0.0))
    monkeypatch.setattr(probe.Times, "settle", 0.0, raising=False)
    with pytest.raises(CliError, match=says):
        ask(cluster)
    assert cluster.pods == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt, KubectlError])
def test_whatever_happens_the_pods_are_removed(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    cluster = Cluster(GOOD)

    def interrupted(*_: object) -> None:
        assert cluster.pods
        raise error("x")

    monkeypatch.setattr(Pods, "answers", interrupted)
    with pytest.raises(error):
        ask(cluster)
    assert cluster.pods == {}
    removed = [call for call in cluster.calls if call[0] == "delete"]
    assert {call[call.index("-n") + 1] for call in removed} == {"hubs", "pdshub-surveyors"}
    assert all(re.fullmatch(r"pdshub.dev/probe=[0-9a-f]+", call[call.index("-l") + 1]) for call in removed)


def test_what_may_not_be_read_is_said_and_the_rest_is_probed() -> None:
    cluster = Cluster(GOOD)
    cluster.refused = {"configmap", "networkpolicies.networking.k8s.io"}  # type: ignore[misc]
    answer, text, code = ask(cluster, "--image", "x:1")
    assert code == 0 and SURVEYOR not in answer["matrix"]["API server"]
    assert "privateRanges are not known" in text and any("networkpolicies" in note for note in answer["notes"])


def test_an_installation_that_is_not_found_needs_an_image() -> None:
    cluster = Cluster(GOOD)
    cluster.objects["deployments.apps"] = []
    with pytest.raises(CliError, match="--image"):
        ask(cluster)


@pytest.mark.parametrize(("given", "system"), [((), "pdshub-system"), (("-n", "elsewhere"), "elsewhere")])
def test_only_the_installations_namespaces_are_asked(given: tuple[str, ...], system: str) -> None:
    """Whoever rules another one could name an image that runs in the place of surveyors."""
    cluster = Cluster(GOOD)
    ask(cluster, *given)
    asked = {call[1]: call[call.index("-n") + 1] for call in cluster.calls if call[0] == "get" and "-n" in call}
    assert not [call for call in cluster.calls if "--all-namespaces" in call]
    assert (asked["deployments.apps"], asked["configmap"]) == (system, system)
    assert asked["networkpolicies.networking.k8s.io"] == "pdshub-surveyors"


def test_no_hub() -> None:
    cluster = Cluster(GOOD)
    cluster.objects["pdshubs.pdshub.dev"] = []
    with pytest.raises(CliError, match="no PDSHub in namespace hubs"):
        ask(cluster)


# --- what is kept


@pytest.mark.parametrize("there", [False, True])
def test_a_result_is_kept_in_the_installations_namespace(there: bool) -> None:
    cluster = Cluster({**GOOD, USER: GOOD[USER] | {"metadata"}})
    if there:
        cluster.objects["configmaps"].append({"metadata": {"name": "pdshub-probes"}})
    _, _, code = ask(cluster, "--record")
    if there:
        (call,) = [call for call in cluster.calls if call[0] == "patch"]
        assert call[1:5] == ["configmap", "pdshub-probes", "-n", "pdshub-system"]
        data = json.loads(call[-1])["data"]
    else:
        (body,) = cluster.objects["configmaps"]
        assert body["metadata"]["namespace"] == "pdshub-system"
        data = body["data"]
    said = json.loads(data["hubs"])
    assert said["policies"] == network_rules.policies_digest({"demo-network-deny": {"podSelector": {}}})
    assert (code, said["reached"], said["by"]) == (1, ["user > metadata"], "ada")


def test_without_record_nothing_is_kept() -> None:
    cluster = Cluster(GOOD)
    ask(cluster)
    assert not [call for call in cluster.calls if call[0] == "patch"] and not cluster.objects["configmaps"]


# --- the program inside of the pods


@contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_dialling(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        free = int(gone.getsockname()[1])
    with listener() as port:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.delenv("NODE_IP", raising=False)
        targets = [
            ["a", "127.0.0.1", port],
            ["b", "127.0.0.1", free],
            ["c", "no.such.invalid", 80],
            ["d", "$API", port],
        ]
        found = dial.dial(targets, 2.0, 1, 0.0)
    assert found["a"] == ["open", "127.0.0.1"] and found["d"] == ["open", "127.0.0.1"]
    assert found["b"] == ["closed", "127.0.0.1"] and found["c"] == ["no-name", ""]


def test_the_last_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    results: Iterator[tuple[str, str]] = iter([("open", ""), ("closed", "")])
    monkeypatch.setattr(dial, "attempt", lambda *_: next(results))
    assert dial.dial([["a", "x", 1]], 1.0, 2, 0.0) == {"a": ["closed", ""]}


def test_its_source_runs_by_itself() -> None:
    """As a pod runs it: handed to ``python3 -c``, without this project."""
    with listener() as port:
        asked = Times(settle=0, rounds=1, pause=0).asked([Target("a", "127.0.0.1", port)])
        spec = probe_pods.pod("abc", USER, "hubs", "image:1", "demo", asked)["spec"]
        command = spec["containers"][0]["command"]
        done = subprocess.run([sys.executable, "-I", *command[1:]], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"a": ["open", "127.0.0.1"]}


def test_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = int(taken.getsockname()[1])
    thread = threading.Thread(target=dial.listen, args=(free, 3.0))
    thread.start()
    try:
        found = "closed"
        while thread.is_alive() and found != "open":
            found, _ = dial.attempt("127.0.0.1", free, 1.0)
        assert found == "open"
    finally:
        thread.join()


def test_no_pod_is_asked_too_much() -> None:
    many = [Target(f"t{n}", "1.1.1.1", 80) for n in range(500)]
    cluster = Cluster(GOOD)
    assert len(probe._Desk(cluster, parser().parse_args(["probe", "hubs"])).targets(many)) <= probe.MOST_TARGETS
    whole = sum(len(json.dumps(Times().asked(many[: probe.MOST_TARGETS]))) for _ in range(1))
    assert whole < 100_000 and dial.AT_ONCE <= 16 and len(FIXED) < 20


def test_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["probe", "--help"])
    assert "--record" in capsys.readouterr().out
