"""``kubectl pdshub plan aws``: what it reads of a hub, what it believes, and what it says where nobody tells."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pdshub.cli import plan_aws, plan_peaks
from tests.unit.cli.fake_cluster import FakeCluster, census, hub
from tests.unit.cli.test_homes import pod
from tests.unit.cli.test_hostile import NASTY, harmless
from tests.unit.cli.test_users import Run
from tests.unit.cli.test_users import run as run

GI, TI = 1 << 30, 1 << 40
PROMETHEUS = "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/query"
HOMES = [
    {"claim": "claim-ada", "user": "ada@example.org", "size": "20Gi"},
    {"claim": "claim-bela", "user": "bela@example.org", "size": "10Gi"},
]
USERS = [{"name": f"u{number}@example.org", "listed": True} for number in range(20)]


def view(name: str = "hub-sbn", labels: dict[str, str] | None = None, **counts: Any) -> dict[str, Any]:
    own = {"pdshub.dev/hub": "sbn", "pdshub.dev/namespace": "hub"}
    return {
        "metadata": {"name": name, "labels": own if labels is None else labels},
        "spec": {"survey": {"intervalSeconds": 7200}},
        "status": {"generation": {"counts": counts or {"bytes": 10 * TI, "files": 1_000_000}}},
    }


def server(name: str, node: str, claim: str) -> dict[str, Any]:
    made = pod(node, claim)
    made["metadata"]["name"] = name
    return made


def summary(*servers: tuple[str, Any, Any], namespace: str = "hub") -> str:
    pods = [
        {
            "podRef": {"name": name, "namespace": namespace},
            "containers": [
                {"name": "notebook", "memory": {"workingSetBytes": memory}, "cpu": {"usageNanoCores": cores}},
                {"name": "sidecar", "memory": {"workingSetBytes": 1 << 45}},
            ],
            "volume": [{"usedBytes": 5 * GI, "pvcRef": {"name": "claim-ada", "namespace": "hub"}}],
        }
        for name, memory, cores in servers
    ]
    return json.dumps({"pods": pods})


def path(node: str) -> str:
    return f"/api/v1/nodes/{node}/proxy/stats/summary"


def made_hub(**spec: Any) -> dict[str, Any]:
    found = hub(allowed=["ada@example.org"])
    found["spec"] |= {"archive": {"inline": {}}, **spec}
    return found


@pytest.fixture
def where() -> FakeCluster:
    found = FakeCluster(
        ("pdshub", made_hub()), ("configmap", census(homes=HOMES, users=USERS)), ("view", view()),
    )  # fmt: skip
    found.put("pod", server("jupyter-ada", "n1", "claim-ada"))
    found.put("pod", server("jupyter-bela", "n2", "claim-bela"))
    told = {path("n1"): summary(("jupyter-ada", 2 * GI, 800_000_000)), path("n2"): summary(("jupyter-bela", GI, 10))}
    return found.set(raw=told)


def figures(run: Run, where: FakeCluster, more: str = "") -> dict[str, Any]:
    code, out, err = run(where, f"plan aws -o json {more}")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)["figures"]
    return found


def told(found: dict[str, Any], name: str) -> tuple[float, str]:
    return found[name]["value"], found[name]["how"]


def test_what_is_measured(run: Run, where: FakeCluster) -> None:
    found = figures(run, where)
    assert {name: told(found, name) for name in found} == {
        "users": (20, "measured"),
        "at_once": (5, "assumed"),
        "busy_hours": (176, "assumed"),
        "memory": (2.5 * GI, "measured"),
        "cores": (1.0, "measured"),
        "largest_memory": (4 * GI, "spec"),
        "homes": (2, "measured"),
        "home_bytes": (30 * GI, "measured"),
        "home_used": (5 * GI + 3 * GI, "assumed"),
        "archive_bytes": (10 * TI, "measured"),
        "archive_files": (1_000_000, "measured"),
        "read_bytes": (TI, "assumed"),
        "egress_bytes": (40 * GI, "assumed"),
        "surveys": (365, "spec"),
    }


GIVEN = [
    ("--at-once 30", "at_once", 30),
    ("--busy-hours 300", "busy_hours", 300),
    ("--memory 6Gi", "memory", 6 * GI),
    ("--cores 1.5", "cores", 1.5),
    ("--reads 2Ti", "read_bytes", 2 * TI),
    ("--egress 500Gi", "egress_bytes", 500 * GI),
    ("--archive-bytes 40Ti", "archive_bytes", 40 * TI),
    ("--archive-files 2e6", "archive_files", 2e6),
]


@pytest.mark.parametrize(("flag", "name", "value"), GIVEN)
def test_what_a_person_says_comes_first(run: Run, where: FakeCluster, flag: str, name: str, value: float) -> None:
    assert told(figures(run, where, flag), name) == (value, "given")


SAID: list[tuple[str, dict[str, Any], str, float, str]] = [
    ("a quota below the guess", {"quota": {"servers": 3}}, "at_once", 3, "spec"),
    ("a quota above it", {"quota": {"servers": 30}}, "at_once", 5, "assumed"),
    ("a profile that is larger", {"server": {"profiles": [{"resources": {"memory": {"limit": "32Gi"}}}]}},
     "largest_memory", 32 * GI, "spec"),
    ("a limit", {"server": {"resources": {"memory": {"limit": "8Gi"}}}}, "largest_memory", 8 * GI, "spec"),
    ("another view", {"archive": {"viewRef": "other"}}, "archive_bytes", 0, "assumed"),
    ("a view by its name", {"archive": {"viewRef": "hub-sbn"}}, "archive_bytes", 10 * TI, "measured"),
    ("no archive", {"archive": None}, "archive_bytes", 0, "assumed"),
    ("a number that no float holds", {"quota": {"servers": 10**400}}, "at_once", 5, "assumed"),
    ("a spec that is odd", {"server": 7, "quota": "x"}, "largest_memory", 4 * GI, "spec"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "name", "value", "how"), [s[1:] for s in SAID], ids=[s[0] for s in SAID])
def test_what_the_spec_says(
    run: Run, where: FakeCluster, spec: dict[str, Any], name: str, value: float, how: str
) -> None:
    where.put("pdshub", made_hub(**spec))
    assert told(figures(run, where), name) == (value, how)


@pytest.mark.parametrize("count", [10**400, -1, 0, True, "many", None, [1]])
def test_a_view_that_counts_anything(run: Run, where: FakeCluster, count: Any) -> None:
    odd = view(bytes=count, files=count)
    odd["spec"]["survey"]["intervalSeconds"] = count
    where.put("view", odd)
    found = figures(run, where)
    assert told(found, "archive_bytes") == (0, "assumed") and told(found, "surveys") == (730, "spec")


def test_the_operators_count_comes_before_the_census(run: Run, where: FakeCluster) -> None:
    found = made_hub()
    found["status"]["users"] = 33
    where.set(works=False).put("pdshub", found)
    assert told(figures(run, where), "users") == (33, "measured")


@pytest.mark.parametrize(
    ("broken", "name", "value", "said"),
    [
        ({"get pods": "no rights"}, "memory", 4 * GI, "pods can not be read: no rights"),
        ({"get --raw": "no rights"}, "memory", 4 * GI, "on node n1 take is not known: no rights"),
        ({"get --raw": "no rights"}, "cores", 0.5, "on node n2 take is not known: no rights"),
        ({"get configmap": "no rights"}, "users", 1, "census of people and homes can not be read: no rights"),
        ({"get archiveviews": "no rights"}, "archive_bytes", 0, "views can not be read: no rights"),
    ],
)
def test_what_may_not_be_read_is_said(
    run: Run, where: FakeCluster, broken: dict[str, str], name: str, value: float, said: str
) -> None:
    code, out, err = run(where.set(broken=broken), "plan aws -o json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["figures"][name]["value"] == value and answer["figures"][name]["how"] != "measured"
    assert any(said in note for note in answer["notes"]), answer["notes"]


def prometheus(where: FakeCluster, at_once: str, memory: str, cores: str) -> None:
    for key, value in (("at_once", at_once), ("memory", memory), ("cores", cores)):
        query = plan_peaks.quote(plan_peaks.queries("hub")[key], safe="")
        answer = {"status": "success", "data": {"result": [{"value": [1.0, value]}] if value else []}}
        where.raw[f"{PROMETHEUS}?query={query}"] = json.dumps(answer)


def test_a_prometheus_has_the_peaks_of_a_month(run: Run, where: FakeCluster) -> None:
    prometheus(where, "12", str(3 * GI), "1.6")
    found = figures(run, where, "--prometheus monitoring/prometheus:9090")
    assert [told(found, name) for name in ("at_once", "memory", "cores")] == [
        (12, "measured"), (3.75 * GI, "measured"), (2, "measured"),
    ]  # fmt: skip
    assert "30 days" in found["memory"]["why"]


def test_a_prometheus_that_does_not_know_leaves_it_to_the_kubelets(run: Run, where: FakeCluster) -> None:
    prometheus(where, "", "", "")
    found = figures(run, where, "--prometheus monitoring/prometheus:9090")
    assert told(found, "memory") == (2.5 * GI, "measured") and "at this moment" in found["memory"]["why"]


def test_queries_name_one_namespace_and_reach_prometheus_whole() -> None:
    for query in plan_peaks.queries("hub").values():
        assert 'namespace="hub"' in query and 'container="notebook"' in query
        line = f"{PROMETHEUS}?query={plan_peaks.quote(query, safe='')}"
        assert parse_qs(urlsplit(line).query)["query"] == [query] and "#" not in line


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"data": {"result": [{"value": [1, "2.5"]}]}}, 2.5),
        ({"data": {"result": [{"value": [1, "0"]}]}}, 0.0),
        ({"data": {"result": [{"value": [1, "NaN"]}]}}, None),
        ({"data": {"result": [{"value": [1, "+Inf"]}]}}, None),
        ({"data": {"result": [{"value": [1, "-1"]}]}}, None),
        ({"data": {"result": [{"value": [1, "1e99"]}]}}, None),
        ({"data": {"result": [{"value": [1, 7]}]}}, None),
        ({"data": {"result": []}}, None),
        ({"data": {"result": 7}}, None),
        ({"data": 7}, None),
        ([], None),
        (7, None),
    ],
)
def test_what_a_prometheus_answers(answer: Any, found: float | None) -> None:
    assert plan_peaks.value(answer) == found


@pytest.mark.parametrize(
    ("name", "namespace", "memory", "cores", "found"),
    [
        ("a", "hub", 7, 5_000_000_000, [(7.0, 5.0)]),
        ("b", "hub", 7, 5, []),
        ("a", "other", 7, 5, []),
        ("a", "hub", -1, -1, [(None, None)]),
        ("a", "hub", True, "7", [(None, None)]),
        ("a", "hub", 1 << 60, None, [(None, None)]),
    ],
)
def test_what_a_summary_says(name: str, namespace: str, memory: Any, cores: Any, found: list[Any]) -> None:
    body = json.loads(summary((name, memory, cores), namespace=namespace))
    assert list(plan_peaks.servers(body, "hub", {"a"})) == found


@pytest.mark.parametrize("body", [[], 7, {"pods": 7}, {"pods": [7, {}, {"podRef": 7}, {"podRef": {"name": "a"}}]}])
def test_a_summary_that_is_none(body: Any) -> None:
    assert list(plan_peaks.servers(body, "hub", {"a"})) == []


@pytest.mark.parametrize("text", ["[]", "7", "{", '{"pods": 7}', "[" * 9999])
def test_a_node_that_answers_anything(run: Run, where: FakeCluster, text: str) -> None:
    found = figures(run, where.set(raw={path("n1"): text, path("n2"): text}))
    assert told(found, "memory") == (4 * GI, "spec")


@pytest.mark.parametrize(
    "flag",
    [
        "--memory much", "--memory 0", "--memory -1Gi", "--at-once 0", "--at-once many", "--at-once inf", "--cores -1",
        "--prometheus monitoring", "--prometheus monitoring/prometheus", "--prometheus a/b:x", "--prometheus ../b:9090",
        "--archive tape", "--busy-hours nan",
    ],
)  # fmt: skip
def test_wrong_use(run: Run, where: FakeCluster, flag: str) -> None:
    assert run(where, f"plan aws {flag}")[0] == 2
    assert not where.calls, "nothing is asked of the cluster"


def test_errors_are_said(run: Run, where: FakeCluster, tmp_path: Path) -> None:
    code, _, err = run(where, "plan aws --region eu-north-1")
    assert code == 1 and "no region eu-north-1: it has us-east-1, us-west-2" in err
    code, _, err = run(where, f"plan aws --prices {tmp_path}/none.json")
    assert code == 1 and "No such file" in err
    (tmp_path / "bad.json").write_text("{}")
    assert run(where, f"plan aws --prices {tmp_path}/bad.json")[0] == 1
    (tmp_path / "file").write_text("")
    assert run(where, f"plan aws --directory {tmp_path}/file")[0] == 1
    where.put("pdshub", hub(name="other", namespace="elsewhere"))
    code, _, err = run(where, "plan aws")
    assert code == 2 and "say which with --hub" in err
    assert run(where, "plan aws --hub hub/sbn")[0] == 0


def test_files_and_the_page_are_one_plan(run: Run, where: FakeCluster, tmp_path: Path) -> None:
    code, out, err = run(where, f"plan aws --directory {tmp_path}/deep/plan")
    assert code == 0, err
    folder = tmp_path / "deep/plan"
    assert (folder / "plan.md").read_text() == out
    answer = json.loads((folder / "plan.json").read_text())
    assert answer["hub"] == "hub/sbn" and answer == json.loads(run(where, "plan aws -o json")[1])
    ElementTree.fromstring((folder / "plan.svg").read_text())  # noqa: S314 - made here
    for option in answer["options"]:
        assert f"## {option['title']}" in out
    assert "Nothing of this was deployed" in out


def test_nothing_is_changed(run: Run, where: FakeCluster) -> None:
    run(where, "plan aws")
    assert {call[0] for call in where.calls} == {"get"}


def test_texts_of_a_cluster_stay_text(run: Run, where: FakeCluster) -> None:
    where.set(broken={"get pods": NASTY, "get archiveviews": NASTY})
    code, out, _ = run(where, "plan aws")
    assert code == 0
    harmless(out)


@pytest.mark.parametrize(
    ("text", "found"), [("40Ti", 40 * TI), ("500Gi", 500 * GI), ("1", 1), ("0", None), ("", None), ("x", None)]
)
def test_amounts(text: str, found: float | None) -> None:
    if found is None:
        with pytest.raises(argparse.ArgumentTypeError):
            plan_aws.amount(text)
    else:
        assert plan_aws.amount(text) == found


# --- plan move --------------------------------------------------------------------------------------------------------


def test_a_move_is_planned_from_the_running_hub(run: Run, where: FakeCluster) -> None:
    code, out, err = run(where, "plan move --line 1Gbit/s --ttl 60 --days 2 --changes 5%")
    assert code == 0, err
    assert "**none**" in out and "10.0 TiB | measured" in out and "2 | measured: the operator's census" in out
    assert "without a hub" in out and "users are told" in out
    code, out, _ = run(where, "plan move --line 100Mbit/s --archive-bytes 1Ti -o json")
    answer = json.loads(out)
    archive = next(stage for stage in answer["stages"] if stage["key"] == "archive")
    assert archive["seconds"] == pytest.approx(TI / (12.5e6 * 0.7), abs=1)
    assert answer["figures"]["archive_bytes"]["how"] == "given" and answer["hub"] == "hub/sbn"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the following arguments are required: --line"),
        ("--line fast", "'fast' is no speed"),
        ("--line 1Gbit/s --share 2", "'2': write a part of all"),
        ("--line 1Gbit/s --ttl soon", "'soon' is no number of seconds"),
    ],
)
def test_a_move_without_a_line(run: Run, where: FakeCluster, words: str, said: str) -> None:
    code, _, err = run(where, f"plan move {words}")
    assert code == 2 and said in err


def test_what_comes_of_the_cluster_is_text_to_a_plan_of_a_move(run: Run, where: FakeCluster) -> None:
    where.broken["archiveviews"] = NASTY
    code, out, _ = run(where, "plan move --line 1Gbit/s")
    assert code == 0
    harmless(out)
