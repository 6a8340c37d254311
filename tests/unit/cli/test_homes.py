"""``kubectl pdshub homes``, and a census that is not what it should be."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from pdshub.cli import census as counted
from pdshub.cli import homes, volume_use
from pdshub.wellknown import CENSUS_FILE
from tests.unit.cli.fake_cluster import FakeCluster, census, hub
from tests.unit.cli.test_hostile import NASTY, harmless
from tests.unit.cli.test_users import Run
from tests.unit.cli.test_users import run as run

GI = 1 << 30
HOMES: list[dict[str, Any]] = [
    {"claim": "claim-bela", "user": "bela@example.org", "size": "10Gi", "lastUsed": "2026-11-25T10:00:00Z"},
    {"claim": "claim-ada", "user": "ada@example.org", "size": "20Gi", "lastUsed": "2026-11-20T10:00:00Z"},
    {"claim": "claim-cyd", "user": "cyd@example.org", "size": "500Mi", "lastUsed": None, "offboarded": True},
    {"claim": "claim-old", "user": None, "size": "5Gi", "lastUsed": "2025-01-01T00:00:00Z", "orphan": True},
]


def pod(node: str, *claims: str, phase: str = "Running") -> dict[str, Any]:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return {
        "metadata": {"name": f"jupyter-{claims}", "namespace": "hub"},
        "spec": {"nodeName": node, "volumes": [{"name": "scratch", "emptyDir": {}}, *volumes]},
        "status": {"phase": phase},
    }


def volume(claim: Any, used: Any, namespace: str = "hub") -> dict[str, Any]:
    return {"name": "v", "usedBytes": used, "pvcRef": {"name": claim, "namespace": namespace}}


def path(node: str) -> str:
    return f"/api/v1/nodes/{node}/proxy/stats/summary"


@pytest.fixture
def where() -> FakeCluster:
    made = FakeCluster(("pdshub", hub(allowed=["ada@example.org"])), ("configmap", census(homes=HOMES)))
    for found in (pod("n1", "claim-ada"), pod("n1", "claim-bela"), pod("n2", "claim-cyd")):
        made.put("pod", found)
    summary = {"pods": [{"volume": [volume("claim-ada", 3 * GI), {"name": "claim-bela"}]}, {"podRef": {}}]}
    return made.set(raw={path("n1"): json.dumps(summary)})


def test_homes(run: Run, where: FakeCluster) -> None:
    code, out, err = run(where, "homes")
    assert code == 0, err
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "hub hub/sbn, as of 2026-11-26T00:00:00Z",
        "CLAIM USER SIZE USED LAST USE STATE",
        "claim-ada ada@example.org 20Gi 3.0Gi 2026-11-20T10:00:00Z -",
        "claim-bela bela@example.org 10Gi unknown 2026-11-25T10:00:00Z -",
        "claim-cyd cyd@example.org 500Mi unknown unknown offboarded",
        "claim-old - 5Gi unknown 2025-01-01T00:00:00Z orphan",
        "4 homes of 35.5Gi; used: 3.0Gi in the 1 that tell; 1 orphan of 5.0Gi; 1 offboarded of 500.0Mi",
        "used is unknown of 1: its storage does not tell the node",
        "used is unknown of 1: no server runs that mounts it",
        "used is unknown of 1: node n2 does not tell you",
        "note: how full the 1 homes on node n2 are is not known: nodes is forbidden",
    ]


@pytest.mark.parametrize(
    ("order", "first"),
    [("user", "claim-ada"), ("size", "claim-ada"), ("used", "claim-ada"), ("last-use", "claim-cyd")],
)
def test_their_order(run: Run, where: FakeCluster, order: str, first: str) -> None:
    answer = json.loads(run(where, f"homes list --sort {order} -o json")[1])["hubs"][0]
    assert answer["homes"][0]["claim"] == first
    assert {row["claim"] for row in answer["homes"]} == {home["claim"] for home in HOMES}


def test_answers_for_programs_are_stable(run: Run, where: FakeCluster) -> None:
    answer = json.loads(run(where, "homes -o json --hub hub/sbn")[1])["hubs"][0]
    assert sorted(answer) == ["asOf", "homes", "name", "namespace", "notes", "sums"]
    keys = ["claim", "created", "lastUsed", "offboarded", "orphan", "size", "storageClass", "usedBytes", "usedUnknown",
            "user", "volume"]  # fmt: skip
    assert all(sorted(row) == keys for row in answer["homes"])
    assert answer["sums"] == {
        "homes": 4, "bytes": 35 * GI + 500 * (1 << 20), "usedBytes": 3 * GI, "usedKnown": 1, "orphans": 1,
        "orphanBytes": 5 * GI, "offboarded": 1, "offboardedBytes": 500 * (1 << 20),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            {"get configmap": "no rights"},
            "no homes\nnote: the operator's census of people and homes can not be read: no",
        ),
        ({"get pods": "no rights"}, "note: how full homes are is not known, pods can not be read: no rights"),
    ],
)
def test_what_may_not_be_read(run: Run, where: FakeCluster, broken: dict[str, str], said: str) -> None:
    code, out, _ = run(where.set(broken=broken), "homes")
    assert code == 0 and said in out


@pytest.mark.parametrize(
    "summary",
    ["[]", "7", "{", '{"pods": 7}', '{"pods": [7, {"volume": 7}, {"volume": [7, {"pvcRef": 7}]}]}', "[" * 9999],
)
def test_a_node_that_answers_anything(run: Run, where: FakeCluster, summary: str) -> None:
    code, out, _ = run(where.set(raw={path("n1"): summary}), "homes")
    assert code == 0 and "used: unknown" in out


@pytest.mark.parametrize(
    ("claim", "used", "namespace", "found"),
    [
        ("a", 7, "hub", {"a": 7}),
        ("a", 7, "other", {}),
        ("a", -1, "hub", {}),
        ("a", True, "hub", {}),
        ("a", "7", "hub", {}),
        ("a", None, "hub", {}),
        (7, 7, "hub", {}),
    ],
)
def test_what_a_summary_says(claim: Any, used: Any, namespace: str, found: dict[str, int]) -> None:
    assert volume_use.used({"pods": [{"volume": [volume(claim, used, namespace)]}]}, "hub") == found


@pytest.mark.parametrize("node", ["--kubeconfig=/x", "n1/../../secrets", "N1", "", None, 7])
def test_a_node_that_is_none_is_not_asked(node: Any) -> None:
    assert volume_use.mounted([pod(node, "claim-ada"), pod("n1", "--all"), pod("n1", "c", phase="Pending")]) == {}


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "unknown"), (0, "0"), (1023, "1023"), (1024, "1.0Ki"), (3 * GI // 2, "1.5Gi"), (2**70, "1048576.0Pi")],
)
def test_amounts(number: int | None, said: str) -> None:
    assert homes.amount(number) == said


# --- a census that is none --------------------------------------------------------------------------------------------

BOMB = gzip.compress(b'{"version":1,"users":["' + b"a" * (counted.UNPACKED + 1024) + b'"]}', 1)
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("a bomb", {"packed": BOMB}, "cut off, or more than 16 MB"),
    ("more than may be kept", {"packed": b"\0" * counted.PACKED}, "too large"),
    ("two in one", {"packed": gzip.compress(b"{}") * 2}, "cut off, or more than"),
    ("cut off", {"packed": gzip.compress(b'{"version":1}')[:-9]}, "cut off"),
    ("not packed", {"packed": b'{"version":1}'}, "no packed JSON"),
    ("another format", {"packed": zlib.compress(b'{"version":1}')}, "no packed JSON"),
    ("no JSON", {"raw": b"{"}, "no packed JSON"),
    ("no text", {"raw": b"\xff\xfe\xfd"}, "no packed JSON"),
    ("depth", {"raw": b"[" * 100_000}, "no packed JSON"),
    ("no number", {"raw": b'{"version":1,"users":[NaN]}'}, "no packed JSON"),
    ("digits", {"raw": b'{"version":' + b"1" * 5000 + b"}"}, "no packed JSON"),
    ("a list", {"raw": b"[]"}, "another version"),
    ("another version", {"raw": b'{"version":2}'}, "another version"),
    ("people of another kind", {"users": {"name": "x"}}, "no list of at most"),
    ("homes of another kind", {"homes": "x"}, "no list of at most"),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
@pytest.mark.parametrize("command", ["users list", "homes"])
def test_a_census_that_is_none(run: Run, command: str, content: dict[str, Any], said: str) -> None:
    made = FakeCluster(("pdshub", hub(allowed=["ada@example.org"])), ("configmap", census(**content)))
    code, out, _ = run(made, command)
    assert code == 0 and "note: the operator's census of people and homes can not be used: " in out and said in out
    harmless(out)
    assert "ada@example.org" in out or command == "homes"


@pytest.mark.parametrize("data", [None, "", "é", "!!", 7, {"census.json.gz": 7}, {}])
def test_a_config_map_without_a_census(data: Any) -> None:
    with pytest.raises(counted.CensusError):
        counted.read({"binaryData": data if isinstance(data, dict) else {"census.json.gz": data}})


def test_too_many_entries() -> None:
    many = json.dumps({"version": 1, "users": [7] * (counted.ENTRIES + 1)}).encode()
    packed = base64.b64encode(gzip.compress(many)).decode()
    with pytest.raises(counted.CensusError, match="no list of at most 100000"):
        counted.read({"binaryData": {CENSUS_FILE: packed}})


ODD: list[Any] = [7, None, "x", [], {}, {"name": 7}, {"claim": None}, {"name": ""}]


def test_entries_that_are_none_are_left_out_and_counted() -> None:
    user = {"name": "ada", "admin": "yes", "suspended": 1, "listed": [], "lastActivity": 7, "server": {}, "home": 7}
    home = {"claim": "c", "user": 7, "size": 7, "orphan": "true", "offboarded": 1, "lastUsed": {}}
    found = counted.read(census(users=[*ODD, user], homes=[*ODD, home]))
    assert found.users == [counted.User("ada")]
    assert found.homes == [counted.Home("c")]
    assert found.odd == 2 * len(ODD)


@pytest.mark.parametrize(
    ("size", "found"),
    [("10Gi", 10 * GI), ("1e3", 1000), ("-1", 0), ("x", 0), ("1e999999999", 0), ("9" * 40, 0), ("1e99", 0), ("", 0)],
)
def test_sizes(size: str, found: int) -> None:
    assert counted.Home("c", size=size).bytes == counted.quantity(size) == found


@pytest.mark.parametrize("command", ["users list", "homes", "homes --sort size"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_nothing_of_a_census_acts_on_a_terminal(run: Run, command: str, output: str) -> None:
    user = {"name": f"ada{NASTY}", "lastActivity": NASTY, "server": NASTY, "home": NASTY, "listed": True}
    home = {"claim": f"c{NASTY}", "user": NASTY, "size": NASTY, "lastUsed": NASTY, "volume": NASTY}
    content = census(time=NASTY, users=[user, 7], homes=[home])
    name = f"x{NASTY}"
    made = FakeCluster(("pdshub", hub(allowed=[name], domains=[NASTY], from_=[
        {"secret": {"name": NASTY, "key": NASTY}}, {"configMap": {"name": NASTY, "key": NASTY}},
    ])), ("configmap", content)).set(broken={"get pods": NASTY})  # fmt: skip
    code, out, err = run(made, f"{command} -o {output}")
    assert code == 0
    harmless(out)
    harmless(err)
    if output == "json":
        json.loads(out)


@pytest.mark.parametrize("verb", ["add x@x", "remove ada@x -y", "suspend ada@x -y", "offboard ada@x -y", "approve -y"])
def test_nothing_of_a_list_acts_on_a_terminal(run: Run, verb: str) -> None:
    made = FakeCluster(("pdshub", hub(allowed=["ada@x", NASTY], from_=[{"secret": {"name": NASTY, "key": NASTY}}])))
    made.set(works=False).found("pdshub", "sbn")["status"]["conditions"] = [
        {"type": "UsersKnown", "status": "False", "reason": "ShrunkTooMuch", "message": f"0123456789ab{NASTY}",
         "observedGeneration": 2},
        {"type": "UsersEnforced", "status": "False", "reason": NASTY, "message": NASTY, "observedGeneration": "2"},
    ]  # fmt: skip
    _, out, err = run(made, f"users {verb} --timeout 0")
    harmless(out)
    harmless(err)
    assert out or err


def test_homes_have_help(capsys: pytest.CaptureFixture[str]) -> None:
    from pdshub.cli.main import main

    with pytest.raises(SystemExit) as end:
        main(["homes", "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and all(option in said for option in ("--hub", "--sort", "--output", "last use"))
