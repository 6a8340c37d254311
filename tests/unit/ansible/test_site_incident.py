"""Who is suspended in a lockdown, and what a release brings back; what others wrote stays what it is."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.unit.ansible.site_playing import COLLECTION

FILE = COLLECTION / "roles/incident/files/pdshub-lockdown.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pdshub_lockdown", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAM = loaded()


def hub(**users: Any) -> Any:
    return {"metadata": {"name": "sbn", "namespace": "hub"}, "spec": {"users": users}}


def census(*names: Any) -> Any:
    text = json.dumps({"version": 1, "users": [{"name": name} for name in names]}).encode()
    return {"binaryData": {"census.json.gz": base64.b64encode(gzip.compress(text)).decode()}}


@pytest.mark.parametrize(
    ("users", "counted", "out"),
    (
        ({"allowed": ["ada"], "admins": ["root"]}, None, ["ada", "root"]),
        (
            {"allowed": ["ada"]},
            census("ada", "bela", "o'brien+pds@example.org"),
            ["ada", "bela", "o'brien+pds@example.org"],
        ),
        ({"allowed": ["ada"], "suspended": ["eve"]}, census("eve"), ["ada", "eve"]),
        ({}, census(), []),
        # a census that others wrote
        ({"allowed": ["ada"]}, census(1, None, {"x": 1}, "a\nb", "a" * 300, ""), ["ada"]),
        ({"allowed": ["ada"]}, {"binaryData": {"census.json.gz": "no base64"}}, ["ada"]),
        ({"allowed": ["ada"]}, {"binaryData": {"census.json.gz": base64.b64encode(b"no gzip").decode()}}, ["ada"]),
        (
            {"allowed": ["ada"]},
            {"binaryData": {"census.json.gz": base64.b64encode(gzip.compress(b"[1]")).decode()}},
            ["ada"],
        ),
        ({"allowed": "ada", "admins": [["x"]]}, {"binaryData": None}, []),
    ),
)
def test_everybody_is_suspended_and_no_domain_lets_anybody_in(users: Any, counted: Any, out: list[str]) -> None:
    done = PROGRAM.lock(hub(**users, domains=["asu.edu"]), counted, "2026-11-27-x")
    assert done["patch"]["spec"]["users"] == {"suspended": out, "domains": []}
    assert done["patch"]["metadata"]["annotations"] == {"pdshub.dev/incident": "2026-11-27-x"}
    assert done["names"] == len(out)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


@pytest.mark.parametrize(
    ("keep_out", "meanwhile", "suspended", "domains"),
    (
        ([], {}, ["eve"], ["asu.edu"]),
        (["bela"], {}, ["bela", "eve"], ["asu.edu"]),
        # whom an administrator suspended, or let in, while it was locked
        ([], {"suspended": ["mallory"]}, ["eve", "mallory"], ["asu.edu"]),
        ([], {"domains": ["example.org"]}, ["eve"], ["asu.edu", "example.org"]),
    ),
)
def test_a_release_brings_back_what_was(keep_out: Any, meanwhile: Any, suspended: Any, domains: Any) -> None:
    before = hub(allowed=["ada", "bela"], suspended=["eve"], domains=["asu.edu"])
    locked = PROGRAM.lock(before, census("ada", "bela", "eve"), "x")
    now = merged(before, locked["patch"])
    assert now["spec"]["users"]["allowed"] == ["ada", "bela"], "the list itself is not touched"
    for key, more in meanwhile.items():
        now["spec"]["users"][key] = [*now["spec"]["users"][key], *more]
    after = merged(now, PROGRAM.release(now, locked["before"], keep_out)["patch"])
    assert after["spec"]["users"] == {"allowed": ["ada", "bela"], "suspended": suspended, "domains": domains}
    assert "pdshub.dev/incident" not in after["metadata"]["annotations"]


def test_a_second_lockdown_says_which_one_was_before() -> None:
    first = hub(allowed=["ada"])
    locked = merged(first, PROGRAM.lock(first, None, "one")["patch"])
    assert PROGRAM.lock(locked, None, "two")["locked"] == "one"


def test_more_people_than_a_list_holds_are_refused_with_words() -> None:
    with pytest.raises(SystemExit, match=r"spec\.users\.suspended holds 10000"):
        PROGRAM.lock(hub(), census(*(f"u{n}" for n in range(10_001))), "x")


def test_it_runs_as_a_program_without_the_project() -> None:
    given = json.dumps({"hub": hub(allowed=["ada"]), "census": None, "incident": "x"})
    done = subprocess.run(
        [sys.executable, "-I", str(FILE), "lock"], input=given, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["patch"]["spec"]["users"]["suspended"] == ["ada"]


def test_the_patch_is_one_that_a_hub_takes() -> None:
    from pdshub.api.hub_users import Users

    done = PROGRAM.lock(hub(allowed=["ada@example.org"]), census("bela@example.org"), "x")
    assert Users.model_validate(done["patch"]["spec"]["users"]).suspended == ["ada@example.org", "bela@example.org"]
