"""``kubectl pdshub users`` against a cluster whose objects others write too."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from pdshub.cli import change, enforced, main, name_file, users
from pdshub.cli.kubectl import Kubectl
from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.fake_cluster import FakeCluster, census, condition, hub

LIST = "# the node's people\nada@example.org\n\nBela@Example.org   # of the OREX team\n  cyd@example.org\r\n"
FROM = [{"configMap": {"name": "pds-users", "key": "users.txt"}}]
ROOTS = [{"configMap": {"name": "pds-users", "key": "users.txt"}, "as": "admins"}]
SECRET = [{"secret": {"name": "hidden", "key": "names"}}]
TWO = "ada@example.org", "bela@example.org"


def config_map(text: str = LIST) -> dict[str, Any]:
    meta = {"name": "pds-users", "namespace": "hub"}
    return {"metadata": meta, "data": {"users.txt": text, "other": "kept"}}


def claim(name: str, user: str, **more: Any) -> dict[str, Any]:
    notes = {"hub.jupyter.org/username": user, **more}
    return {"metadata": {"name": name, "namespace": "hub", "annotations": notes, "labels": {"a": "b"}}}


def cluster(**of_users: Any) -> FakeCluster:
    return FakeCluster(
        ("pdshub", hub(**of_users)), ("configmap", config_map()), ("claim", claim("claim-ada", "ada@example.org"))
    )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def made(where: FakeCluster, line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(main, "Kubectl", lambda flags: where)
        try:
            code = main.main(line.split())
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return made


Run = Callable[..., tuple[int, str, str]]
BOTH = list(TWO)
CHANGES: list[tuple[str, dict[str, Any], str, dict[str, Any], str]] = [
    ("one more", {"allowed": BOTH}, "add Cyd@Example.org", {"allowed": [*TWO, "cyd@example.org"]}, "added to spec.us"),
    ("the first", {}, "add ada@example.org", {"allowed": ["ada@example.org"]}, "in effect:"),
    ("known", {"allowed": BOTH}, "add ada@example.org", {"allowed": BOTH}, "on the list already: spec.users.allowed"),
    ("by a file", {"from_": FROM}, "add bela@example.org", {"from": FROM}, "already: configMap pds-users/users.txt"),
    ("an admin", {"allowed": BOTH}, "add --admin ada@example.org", {"allowed": BOTH, "admins": [TWO[0]]}, "admins"),
    ("removed", {"allowed": ["ADA@example.org", TWO[1]]}, f"remove {TWO[0]} -y", {"allowed": [TWO[1]]}, "removed"),
    ("twice", {"allowed": [*TWO, *TWO]}, "remove ada@example.org -y", {"allowed": [TWO[1]] * 2}, "removed from"),
    (
        "from all lists",
        {"allowed": BOTH, "admins": BOTH, "suspended": [TWO[0]]},
        "remove ada@example.org -y",
        {"allowed": [TWO[1]], "admins": [TWO[1]], "suspended": []},
        "in effect:",
    ),
    (
        "who is kept out of a domain stays out",
        {"allowed": BOTH, "suspended": [TWO[0]], "domains": ["example.org"]},
        "remove ada@example.org -y",
        {"allowed": [TWO[1]], "suspended": [TWO[0]], "domains": ["example.org"]},
        "in effect:",
    ),
    (
        "who comes by a domain as well is said",
        {"allowed": BOTH, "domains": ["example.org"]},
        "remove ada@example.org -y",
        {"allowed": [TWO[1]], "domains": ["example.org"]},
        "may still come in by spec.users.domains (example.org): kubectl pdshub users suspend ada@example.org ends that",
    ),
    ("suspended", {"allowed": BOTH}, "suspend ada@example.org -y", {"allowed": BOTH, "suspended": [TWO[0]]}, "in eff"),
    ("again", {"suspended": [TWO[0]]}, "suspend ada@example.org -y", {"suspended": [TWO[0]]}, "suspended already"),
    ("undone", {"allowed": BOTH, "suspended": BOTH}, f"suspend {TWO[0]} --undo", {"allowed": BOTH,
     "suspended": [TWO[1]]}, "removed from spec.users.suspended"),
    ("undone, and on no list", {"suspended": BOTH}, f"suspend {TWO[0]} --undo", {"suspended": [TWO[1]]}, "on no list"),
    ("not suspended", {"allowed": BOTH}, f"suspend {TWO[0]} --undo", {"allowed": BOTH}, "is not suspended"),
    ("admin on", {"allowed": BOTH}, f"admin {TWO[0]} on", {"allowed": BOTH, "admins": [TWO[0]]}, "spec.users.admins"),
    ("admin already", {"admins": BOTH}, f"admin {TWO[0]} on", {"admins": BOTH}, "is an admin already"),
    ("admin off keeps access", {"admins": BOTH}, f"admin {TWO[0]} off", {"allowed": [TWO[0]], "admins": [TWO[1]]},
     "added to spec.users.allowed"),
    ("admin off", {"allowed": BOTH, "admins": BOTH}, f"admin {TWO[0]} off", {"allowed": BOTH, "admins": [TWO[1]]}, ""),
    ("no admin", {"allowed": BOTH}, f"admin {TWO[0]} off", {"allowed": BOTH}, "is no admin by any list"),
    ("offboarded", {"allowed": BOTH}, f"offboard {TWO[0]} -y", {"allowed": [TWO[1]]}, "home claim-ada is kept, marked"),
    ("offboarded, a domain", {"domains": ["example.org"]}, f"offboard {TWO[0]} -y", {"domains": ["example.org"],
     "suspended": [TWO[0]]}, "added to spec.users.suspended"),
    ("offboarded, a Secret", {"from_": SECRET}, f"offboard {TWO[0]} -y", {"from": SECRET, "suspended": [TWO[0]]}, ""),
    ("offboarded, no home", {"allowed": BOTH}, f"offboard {TWO[1]} -y", {"allowed": [TWO[0]]}, "there is no home"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "line", "after", "said"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_changes(run: Run, before: dict[str, Any], line: str, after: dict[str, Any], said: str) -> None:
    where = cluster(**before)
    code, out, err = run(where, f"users {line}")
    assert code == 0, err
    assert where.users == after
    assert said in out


def test_a_file_keeps_everything_but_the_names(run: Run) -> None:
    where = cluster(from_=FROM, allowed=["cyd@example.org"])
    code, out, err = run(where, "users remove bela@example.org cyd@example.org --yes")
    assert code == 0, err
    found = where.found("configmap", "pds-users")
    assert found["data"] == {
        "users.txt": "# the node's people\nada@example.org\n\n# of the OREX team\n", "other": "kept",
    }  # fmt: skip
    assert where.users["allowed"] == []
    for changed in (found, where.found("pdshub", "sbn")):
        by = json.loads(changed["metadata"]["annotations"][CHANGED_BY])
        assert by["by"] == "ada@desk" and by["command"] == "users remove bela@example.org cyd@example.org"
        assert by["at"].endswith("Z")
    assert "removed from configMap pds-users/users.txt" in out


def test_an_admin_of_a_file_is_on_the_list_before_they_are_off_it(run: Run) -> None:
    where = cluster(from_=ROOTS)
    assert run(where, "users admin ada@example.org off")[0] == 0
    assert where.users["allowed"] == ["ada@example.org"]
    assert "ada@example.org" not in where.found("configmap", "pds-users")["data"]["users.txt"]
    assert [call[1] for call in where.calls if call[0] == "patch"] == ["pdshubs.pdshub.dev", "configmap"]


@pytest.mark.parametrize(
    ("text", "gone", "kept"),
    [
        ("a\nb\nc", "b", "a\nc"),
        ("a\nb\n", "b", "a\n"),
        ("\n\n# a\na\n", "a", "\n\n# a\n"),
        ("a # why\n", "a", "# why\n"),
        ("A\r\nb\r\n", "a", "b\r\n"),
        ("a#b\n", "a", "a#b\n"),
        ("a#b\n", "a#b", ""),
        ("\ufeffa # why\nb\n", "a", "# why\nb\n"),
        ("\ufeffa\nb\n", "b", "\ufeffa\n"),
        ("\u0430\n", "\u0430", ""),
        ("", "a", ""),
    ],
)
def test_names_of_a_file(text: str, gone: str, kept: str) -> None:
    assert name_file.without(text, {gone}) == kept
    assert gone not in name_file.names(kept)


# --- what others do ---------------------------------------------------------------------------------------------------


def _writes(text: str) -> Callable[[FakeCluster], None]:
    """Somebody else adds a name, at the beginning of the list and of the file."""

    def other(where: FakeCluster) -> None:
        found = json.loads(json.dumps(where.found("pdshub", "sbn")))
        found["spec"]["users"]["allowed"].insert(0, text)
        found["metadata"]["generation"] += 1
        where.put("pdshub", found)
        file = json.loads(json.dumps(where.found("configmap", "pds-users")))
        file["data"]["users.txt"] = f"{text}\n{file['data']['users.txt']}"
        where.put("configmap", file)

    return other


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("add new@example.org", ["2@example.org", "1@example.org", *TWO, "new@example.org"]),
        ("remove bela@example.org --yes", ["2@example.org", "1@example.org", "ada@example.org"]),
    ],
)
def test_nobodys_edits_are_lost(run: Run, line: str, allowed: list[str]) -> None:
    where = cluster(allowed=BOTH, from_=FROM)
    where.meanwhile.extend([_writes("1@example.org"), _writes("2@example.org")])
    code, _, err = run(where, f"users {line}")
    assert code == 0, err
    assert where.users["allowed"] == allowed
    assert where.found("configmap", "pds-users")["data"]["users.txt"].startswith("2@example.org\n1@example.org\n#")


def test_who_is_never_first_is_told(run: Run) -> None:
    where = cluster(allowed=BOTH)
    where.meanwhile.extend([_writes(f"{n}@example.org") for n in range(change.TRIES)])
    code, _, err = run(where, "users add new@example.org")
    assert code == 1 and "is written by others all the time: nothing was changed, try again" in err
    assert "new@example.org" not in where.users["allowed"]


def test_what_is_written_is_for_that_version_alone(run: Run) -> None:
    seen: list[dict[str, Any]] = []

    class Watched(FakeCluster):
        def _patched(self, kind: str, space: str, name: str, operations: list[Any], dry_run: bool) -> dict[str, Any]:
            seen.extend(operations)
            return super()._patched(kind, space, name, operations, dry_run)

    where = Watched(("pdshub", hub(allowed=BOTH)))
    version = where.found("pdshub", "sbn")["metadata"]["resourceVersion"]
    assert run(where, "users remove ada@example.org --yes")[0] == 0
    assert seen[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    assert seen[1:3] == [
        {"op": "test", "path": "/spec/users/allowed/0", "value": "ada@example.org"},
        {"op": "remove", "path": "/spec/users/allowed/0"},
    ]
    patches = [call for call in where.calls if call[0] == "patch"]
    assert all("--field-manager=kubectl-pdshub" in call and "--type=json" in call for call in patches)
    assert not any("ada@example.org" in word for call in patches for word in call), "a long list is no argument"


# --- asking, trying, waiting ------------------------------------------------------------------------------------------

LOSING = ["remove ada@example.org", "suspend ada@example.org", "offboard ada@example.org"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("line", LOSING)
@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("Y\n", 0), ("no\n", 1), ("\n", 1), ("", 1)])
def test_who_loses_access_is_said_before(
    run: Run, monkeypatch: pytest.MonkeyPatch, line: str, answer: str, code: int
) -> None:
    where = cluster(allowed=BOTH)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    got, _, err = run(where, f"users {line}")
    assert got == code
    assert "ada@example.org: access to hub hub/sbn ends, their servers stop" in err and "homes stay" in err
    assert ("nothing was changed" in err) is bool(code)
    assert (where.users == {"allowed": BOTH}) is bool(code)


@pytest.mark.parametrize("line", LOSING)
def test_without_anybody_to_ask(run: Run, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    where = cluster(allowed=BOTH)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    code, _, err = run(where, f"users {line}")
    assert code == 2 and "add --yes, or --dry-run" in err
    assert not [call for call in where.calls if call[0] == "patch"]


@pytest.mark.parametrize("line", [*LOSING, "add new@example.org", "admin ada@example.org on"])
def test_a_dry_run_stores_nothing(run: Run, line: str) -> None:
    where = cluster(allowed=BOTH)
    code, out, err = run(where, f"users {line} --dry-run")
    assert code == 0, err
    assert where.users == {"allowed": BOTH} and "would be" in out and "nothing was stored" in out
    assert "pdshub.dev/offboarded" not in where.found("claim", "claim-ada")["metadata"]["labels"]
    assert all("--dry-run=server" in call for call in where.calls if call[0] == "patch")
    assert json.loads(run(where, f"users {line} --dry-run -o json")[1])["dryRun"] is True


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("add new@example.org --timeout 0", 3, "written, but not in effect within 0 s:\n  the operator has not made"),
        ("add new@example.org --no-wait", 0, "new@example.org: added to spec.users.allowed\n"),
    ],
)
def test_waiting_is_bounded(run: Run, line: str, code: int, said: str) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    got, out, _ = run(where, f"users {line}")
    assert got == code and said in out
    assert where.users["allowed"][-1] == "new@example.org"


def test_what_the_operator_refuses_is_said(run: Run) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    why = condition("UsersKnown", "False", "SourceMissing", "ConfigMap pds is not there", 2)
    where.found("pdshub", "sbn")["status"]["conditions"] = [why]
    code, out, _ = run(where, "users add new@example.org")
    assert code == 1 and "the list is not taken up: ConfigMap pds is not there" in out
    assert "kubectl describe pdshub" in out


PEOPLE = {"digest": "aaaaaaaaaaaa"}
KNOWN = condition("UsersKnown", "True", "Read", "", 2)
OLD, NEW, FORMER = ("bbbbbbbbbbbb", 2), ("aaaaaaaaaaaa", 2), ("aaaaaaaaaaaa", 1)


def _enforced(status: str, words: str, generation: int) -> dict[str, Any]:
    return condition("UsersEnforced", status, "R", words, generation)


@pytest.mark.parametrize(
    ("conditions", "listed", "shown", "kind", "words"),
    [
        ([KNOWN, _enforced("True", "reads aaaaaaaaaaaa", 2)], PEOPLE, True, "done", "reads aaaaaaaaaaaa"),
        ([KNOWN, _enforced("True", "reads bbbbbbbbbbbb", 2)], PEOPLE, True, "waiting", "reads bbbbbbbbbbbb"),
        ([KNOWN, _enforced("True", "reads aaaaaaaaaaaa", 1)], PEOPLE, True, "waiting", "reads aaaaaaaaaaaa"),
        ([KNOWN, _enforced("True", "reads it", 2)], PEOPLE, True, "done", "reads it"),
        ([KNOWN, _enforced("True", "reads aaaaaaaaaaaa", 2)], PEOPLE, False, "waiting", "has not made the list"),
        ([KNOWN, _enforced("False", "ada: tokens", 2)], PEOPLE, True, "waiting", "ada: tokens"),
        ([KNOWN, _enforced("True", "reads aaaaaaaaaaaa", 2)], None, False, "done", "reads"),
        ([KNOWN, _enforced("True", "reads aaaaaaaaaaaa", 1)], None, False, "waiting", "reads"),
        ([KNOWN], PEOPLE, True, "waiting", "no condition UsersEnforced"),
        ([condition("UsersKnown", "False", "R", "no source", 2)], PEOPLE, False, "refused", "no source"),
        ([condition("UsersKnown", "False", "R", "no source", 1)], PEOPLE, False, "waiting", "has not made"),
        ([condition("UsersKnown", "False", "R", "no source", 2)], PEOPLE, True, "waiting", "UsersEnforced"),
        ([], None, False, "waiting", "UsersEnforced"),
    ],
)
def test_when_a_list_is_in_effect(
    conditions: list[Any], listed: dict[str, Any] | None, shown: bool, kind: str, words: str
) -> None:
    found = enforced.state({"status": {"conditions": conditions}}, listed, lambda _: shown, 2)
    assert (found.kind, words in found.words) == (kind, True), found


def test_the_steps_of_a_removal_are_told_as_they_come(run: Run) -> None:
    where = cluster(allowed=[TWO[1]])
    hub_now = where.found("pdshub", "sbn")
    hub_now["metadata"]["generation"] = 2
    steps = ["ada: servers stop", "ada: tokens go", "ada: tokens go"]
    now, told = [0.0], list[str]()

    def sleep(seconds: float) -> None:
        now[0] += seconds
        status = _enforced("False", steps.pop(0), 2) if steps else _enforced("True", "nobody is left", 2)
        hub_now["status"]["conditions"] = [KNOWN, status]

    where.set(works=False)
    hub_now["status"]["conditions"] = [KNOWN]
    waited = enforced.wait(where, hub_now, lambda _: True, 60.0, told.append, sleep=sleep, clock=lambda: now[0])
    assert waited.state.kind == "done"
    first = "the hub's status has no condition UsersEnforced yet"
    assert told == [first, "ada: servers stop", "ada: tokens go"]
    assert waited.wire()["steps"] == [*told, "nobody is left"]


@pytest.mark.parametrize(("grace", "spent"), [(0.0, 0.0), (5.0, 5.0)])
def test_a_refusal_may_be_of_before(grace: float, spent: float) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    found = where.found("pdshub", "sbn")
    found["status"]["conditions"] = [condition("UsersKnown", "False", "R", "no source", 1)]
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    waited = enforced.wait(
        where, found, lambda _: False, 60.0, lambda _: None, sleep=sleep, clock=lambda: now[0], grace=grace
    )
    assert (waited.state.kind, now[0]) == ("refused", spent)


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], str, int, str]] = [
    ("a look-alike", {}, "add \u0430da@example.org", 2, "U+0430 CYRILLIC SMALL LETTER A"),
    ("no address", {}, "add ada", 1, "ada: with spec.signIn.google a name is the whole e-mail address"),
    ("suspended", {"suspended": BOTH}, "add ada@example.org", 1, "users suspend ada@example.org --undo lets them in"),
    ("a suspended admin", {"suspended": BOTH}, "admin ada@example.org on", 1, "is suspended: kubectl pdshub users"),
    ("a stranger", {"allowed": BOTH}, "remove eve@example.org -y", 1, "eve@example.org: is on no list: kubectl pdshub"),
    ("one of two", {"allowed": BOTH}, "remove ada@example.org eve@x.org -y", 1, "eve@x.org: is on no list"),
    ("by a domain", {"domains": ["example.org"]}, "remove ada@example.org -y", 1, "suspend ada@example.org keeps them"),
    ("by a domain, suspended", {"domains": ["example.org"], "suspended": BOTH}, "remove ada@example.org -y", 1,
     "may come in by spec.users.domains (example.org): is suspended already"),
    ("by a Secret", {"from_": SECRET}, "remove ada@example.org -y", 1, "spec.users.from[0] is secret hidden/names, "
     "which is not read here: write it to a file (kubectl get secret hidden -n hub -o go-template='{{index .data"),
    ("by what is no name", {"from_": [{"secret": {"name": "x; rm", "key": "k"}}]}, "remove ada@example.org -y", 1,
     "which is not read here: edit that Secret"),
    ("no such ConfigMap", {"from_": [{"configMap": {"name": "none", "key": "k"}}]}, "remove ada@example.org -y", 1,
     "spec.users.from[0] is configMap none/k, which was not read: configmap \"none\" not found"),
    ("no such key", {"from_": [{"configMap": {"name": "pds-users", "key": "k"}}]}, "remove ada@example.org -y", 1,
     "which was not read: it has no key k"),
    ("a flag as a name", {"from_": [{"configMap": {"name": "--kubeconfig=/x", "key": "k"}}]}, "remove ada@x.org -y", 1,
     "which was not read: its name is none"),
    ("nothing waits", {}, "approve -y", 1, "no list waits for an approval"),
    ("no name", {}, "add", 2, "NAME"),
    ("no state", {}, "admin ada@example.org", 2, "state"),
    ("two hubs", {}, "add ada@example.org -n two", 2, "there are 2 hubs in namespace two: say which with --hub NAME"),
    ("no hub", {}, "add ada@example.org -n none", 2, "there is no hub in namespace none: name one with --hub"),
    ("two namespaces", {}, "add ada@example.org -n two --hub hub/sbn", 2, "--hub says namespace hub, and -n two"),
    ("no such hub", {}, "add ada@example.org --hub hub/none", 1, "not found"),
    ("no namespace", {}, "add ada@example.org --hub sbn", 2, "write NAMESPACE/NAME, like hub/sbn"),
    ("a flag as a hub", {}, "add ada@example.org --hub --all/x", 2, "--hub"),
    ("no command", {}, "", 2, "COMMAND"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "line", "code", "said"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_refused(run: Run, before: dict[str, Any], line: str, code: int, said: str) -> None:
    where = cluster(**before)
    if "two" in line:
        where.put("pdshub", hub("a", "two"))
        where.put("pdshub", hub("b", "two"))
    got, out, err = run(where, f"users {line}")
    assert (got, out) == (code, "")
    assert said in err
    assert not [call for call in where.calls if call[0] == "patch"], "nothing is written where one name is refused"
    assert not [word for call in where.calls for word in call if word.startswith("--kubeconfig")]


def test_a_field_that_the_cluster_does_not_have(run: Run) -> None:
    where = cluster(allowed=BOTH).set(dropped={"suspended"})
    code, _, err = run(where, "users suspend ada@example.org --yes")
    assert code == 1 and "spec.users.suspended: the cluster's PDSHubs have no such field and dropped it: upgrade" in err


@pytest.mark.parametrize(
    ("broken", "line", "said"),
    [
        ("patch&pdshubs", "remove ada@example.org -y", "kubectl pdshub: no rights"),
        ("patch&configmap", "remove ada@example.org -y", "ada@example.org stay in configMap pds-users/users.txt"),
        ("patch&claim", "offboard ada@example.org -y", "kubectl pdshub: no rights"),
        ("get pdshubs", "list", "kubectl pdshub: no rights"),
    ],
)
def test_what_the_api_server_refuses(run: Run, broken: str, line: str, said: str) -> None:
    where = cluster(allowed=BOTH, from_=FROM).set(broken={broken: "no rights"})
    code, _, err = run(where, f"users {line}")
    assert code == 1 and said in err


def test_who_may_not_see_homes_lets_people_in_all_the_same(run: Run) -> None:
    where = cluster(allowed=BOTH).set(broken={"get persistentvolumeclaims": "no rights"})
    code, out, _ = run(where, "users add new@example.org")
    assert code == 0 and "note: whether they have homes marked as offboarded was not found out: no rights" in out


# --- offboard, approve, list ------------------------------------------------------------------------------------------


def test_an_offboarded_home_is_marked_and_theirs_again_when_they_are_back(run: Run) -> None:
    where = cluster(allowed=BOTH)
    code, out, _ = run(where, "users offboard ada@example.org --yes -o json")
    assert code == 0 and json.loads(out)["homes"] == ["claim-ada"]
    meta = where.found("claim", "claim-ada")["metadata"]
    day = meta["labels"]["pdshub.dev/offboarded"]
    assert meta["annotations"]["pdshub.dev/offboarded"] == day and len(day) == len("2026-11-26")
    code, out, _ = run(where, "users add ada@example.org")
    assert code == 0 and "home claim-ada is not marked as offboarded any more" in out
    meta = where.found("claim", "claim-ada")["metadata"]
    assert meta["labels"] == {"a": "b"} and "pdshub.dev/offboarded" not in meta["annotations"]


def _shrunk(where: FakeCluster, reason: str = "ShrunkTooMuch", digest: str = "0123456789ab") -> None:
    words = f"the list would lose 1 of 2 names (kubectl annotate pdshub NAME pdshub.dev/approve-users={digest})"
    where.found("pdshub", "sbn")["status"]["conditions"] = [condition("UsersKnown", "False", reason, words, 1)]


def test_a_loss_is_approved_after_it_was_shown(run: Run) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    where.found("pdshub", "sbn")["spec"]["users"] = {"allowed": [TWO[1]], "suspended": []}
    _shrunk(where)
    code, out, err = run(where, "users approve --yes --no-wait -o json")
    assert code == 0, err
    assert "1 person loses access:\n  ada@example.org\n" in err and "would lose 1 of 2 names" in err
    answer = json.loads(out)
    assert (answer["approved"], answer["lost"]) == ("0123456789ab", ["ada@example.org"])
    notes = where.found("pdshub", "sbn")["metadata"]["annotations"]
    assert notes["pdshub.dev/approve-users"] == "0123456789ab"
    assert json.loads(notes[CHANGED_BY])["command"] == "users approve"


@pytest.mark.parametrize(
    ("reason", "digest", "said"),
    [
        ("SourceMissing", "0123456789ab", "is False with SourceMissing, which no approval mends"),
        ("ShrunkTooMuch", "none", "does not name the one list that waits"),
    ],
)
def test_what_can_not_be_approved(run: Run, reason: str, digest: str, said: str) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    _shrunk(where, reason, digest)
    code, _, err = run(where, "users approve --yes")
    assert code == 1 and said in err


def test_a_list_that_changed_after_it_was_shown_is_not_approved(run: Run) -> None:
    where = cluster(allowed=BOTH).set(works=False)
    _shrunk(where)

    def other(found: FakeCluster) -> None:
        found.put("pdshub", found.found("pdshub", "sbn"))
        _shrunk(found, digest="fedcba987654")

    where.meanwhile.append(other)
    code, _, err = run(where, "users approve --yes")
    assert code == 1 and "the list has changed meanwhile: look at it anew" in err
    assert "annotations" not in where.found("pdshub", "sbn")["metadata"]


USER_KEYS = ["admin", "home", "lastActivity", "listed", "name", "server", "size", "sources", "suspended"]
COUNTED = {
    "users": [
        {"name": "ada@example.org", "admin": True, "listed": True, "lastActivity": "2026-11-25T10:00:00Z",
         "server": "running", "home": "claim-ada"},
        {"name": "by-group@example.com", "listed": True, "lastActivity": None, "server": "stopped", "home": None},
        {"name": "gone@example.com", "listed": False, "server": "stopped"},
        {"name": "any@asu.edu", "listed": True, "server": "pending"},
    ],
    "homes": [{"claim": "claim-ada", "user": "ada@example.org", "size": "10Gi"},
              {"claim": "claim-gone", "user": "gone@example.com", "size": "5Gi", "orphan": True}],
}  # fmt: skip


def test_the_list_is_everybody_on_it_and_in_the_hub(run: Run) -> None:
    where = cluster(allowed=["ada@example.org"], from_=[*FROM, *SECRET], suspended=["cyd@example.org"],
                    domains=["asu.edu"])  # fmt: skip
    where.put("configmap", census(**COUNTED))
    code, out, err = run(where, "users list")
    assert code == 0, err
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()[2:-1]}
    assert rows == {
        "ada@example.org": "admin - 2026-11-25T10:00:00Z running claim-ada 10Gi spec.users.allowed, configMap "
        "pds-users/users.txt",
        "any@asu.edu": "- - never pending - - domain asu.edu",
        "bela@example.org": "- - never stopped - - configMap pds-users/users.txt",
        "by-group@example.com": "- - never stopped - - a Secret or a group",
        "cyd@example.org": "- suspended never stopped - - spec.users.suspended, configMap pds-users/users.txt",
        "gone@example.com": "- - never stopped claim-gone 5Gi -",
    }
    assert out.splitlines()[0] == "hub hub/sbn: 6 people as of 2026-11-26T00:00:00Z"
    assert out.splitlines()[-1] == "note: spec.users.from[1] (secret hidden/names) is not read here"
    answer = json.loads(run(where, "users list -o json --hub hub/sbn")[1])["hubs"][0]
    assert sorted(answer) == ["asOf", "name", "namespace", "notes", "users"]
    assert all(sorted(row) == USER_KEYS for row in answer["users"])
    assert [row["listed"] for row in answer["users"]] == [True, True, True, True, True, False]


def test_without_a_census_the_list_is_still_said(run: Run) -> None:
    where = cluster(allowed=BOTH)
    where.put("pdshub", hub("other", "there"))
    code, out, _ = run(where, "users list")
    assert code == 0 and "ada@example.org" in out and "census of people and homes can not be read" in out
    assert "hub there/other: 0 people\nnobody is on the list, and nobody has signed in" in out
    assert "there/other" not in run(where, "users list -n hub")[1]


ANSWER_KEYS = {"hub", "command", "dryRun", "changed", "unchanged", "notes", "waited"}


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("add new@example.org", {"homes"}),
        ("add ada@example.org", {"homes"}),
        ("remove ada@example.org", set()),
        ("suspend ada@example.org", set()),
        ("admin ada@example.org on", set()),
        ("offboard ada@example.org", {"homes"}),
    ],
)
def test_answers_for_programs_are_stable(run: Run, line: str, more: set[str]) -> None:
    code, out, _ = run(cluster(allowed=BOTH), f"users {line} --yes -o json")
    answer = json.loads(out)
    assert code == 0 and set(answer) == ANSWER_KEYS | more
    assert answer["hub"] == {"namespace": "hub", "name": "sbn"}
    if answer["changed"]:
        assert all(sorted(item) == ["change", "name", "place"] for item in answer["changed"])
        assert sorted(answer["waited"]) == ["digest", "enforced", "message", "steps"] and answer["waited"]["enforced"]


@pytest.mark.parametrize("command", ["", "list", "add", "remove", "suspend", "admin", "offboard", "approve"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["users", *command.split(), "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "usage: kubectl pdshub users" in said
    if command not in ("", "list"):
        assert all(option in said for option in ("--dry-run", "--yes", "--no-wait", "--timeout", "--hub", "--output"))


def test_who_is_not_known_to_the_api_server(run: Run) -> None:
    where = cluster(allowed=BOTH).set(broken={"auth whoami": "no such API"})
    assert run(where, "users add new@example.org")[0] == 0
    by = json.loads(where.found("pdshub", "sbn")["metadata"]["annotations"][CHANGED_BY])
    assert by["by"] == "" and by["command"] == "users add new@example.org"


def test_a_patch_reaches_kubectl_on_its_input(tmp_path: Any) -> None:
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\nprintf \'{"said": "%s", "read": %s}\' "$*" "$(cat)"\n')
    program.chmod(0o755)
    answer = Kubectl(("--context=c",), str(program)).change(("k", "n", "-n", "s"), [{"op": "x"}], dry_run=True)
    assert answer == {
        "said": "--context=c patch k n -n s --field-manager=kubectl-pdshub --type=json --patch-file=/dev/stdin"
        " --dry-run=server -o json",
        "read": [{"op": "x"}],
    }


def test_most_people_are_named_before_a_question() -> None:
    plan = users.users_plan.Plan(losing=[f"{n}@x" for n in range(60)])
    assert "49@x and 10 more: access to hub hub/sbn ends" in users._question(hub(), plan)
