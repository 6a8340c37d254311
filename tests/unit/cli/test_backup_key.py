"""``kubectl pdshub backup key``: read only where somebody asks for it, and written so that nobody else reads it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.backup_cluster import BACKUP, BackupCluster, secret
from tests.unit.cli.fake_cluster import condition
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

KEY = "correct horse battery staple"
ELSEWHERE = {**BACKUP, "key": {"secretRef": {"name": "vault", "key": "restic"}, "escrow": "in the safe"}}


def cluster(backup: dict[str, Any] = BACKUP, **more: str) -> BackupCluster:
    return BackupCluster(secret("sbn-backup-key", key=KEY, **more), secret("vault", restic=f"{KEY}\n"), backup=backup)


def asked(where: BackupCluster) -> list[str]:
    return [line[2] for line in where.calls if line[:2] == ("get", "secret")]


@pytest.mark.parametrize(
    ("backup", "said"),
    [
        (BACKUP, "is in Secret sbn-backup-key, key key\nno copy outside of the cluster is declared"),
        (
            ELSEWHERE,
            "is in Secret vault, key restic\na copy is declared to be kept outside of the cluster: in the safe",
        ),
        ({**BACKUP, "key": {"escrow": "in the safe"}}, "Secret sbn-backup-key, key key\na copy is declared"),
    ],
)
def test_where_it_is(call: Call, backup: dict[str, Any], said: str) -> None:
    where = cluster(backup)
    code, out, err = call(where, "backup key")
    assert code == 0, err
    assert said in out and KEY not in out and not asked(where)
    assert KEY not in call(where, "backup key -o json")[1]


def test_what_the_operator_says_of_it(call: Call) -> None:
    where = cluster().set(works=False)
    said = condition("KeyEscrowed", "False", "NotDeclared", "say where a copy is", 1)
    where.found("pdshub", "sbn")["status"]["conditions"] = [said]
    assert "KeyEscrowed: say where a copy is" in call(where, "backup key")[1]


@pytest.mark.parametrize(
    ("backup", "name", "held"), [(BACKUP, "sbn-backup-key", KEY), (ELSEWHERE, "vault", f"{KEY}\n")]
)
def test_it_goes_into_a_new_file_that_nobody_else_reads(
    call: Call, tmp_path: Path, backup: dict[str, Any], name: str, held: str
) -> None:
    where, file = cluster(backup), tmp_path / "sbn.key"
    before = os.umask(0)
    try:
        code, out, err = call(where, f"backup key --to {file}")
    finally:
        os.umask(before)
    assert code == 0, err
    assert file.read_text() == held and file.stat().st_mode & 0o777 == 0o600
    assert KEY not in out + err and asked(where) == [name]
    code, _, err = call(where, f"backup key --to {file}")
    assert code == 1 and f"{file} is there already: name another file" in err and file.read_text() == held


@pytest.mark.parametrize(("name", "said"), [("none/x", "No such file"), (".", "is there already"), ("link", "there")])
def test_a_file_that_can_not_be_made(call: Call, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    code, out, err = call(cluster(), f"backup key --to {tmp_path / name}")
    assert code == 1 and said in err and not out
    assert not (tmp_path / "target").exists()


def test_it_is_printed_only_where_that_is_asked_for(call: Call) -> None:
    assert KEY in call(cluster(), "backup key --print")[1].splitlines()
    answer = json.loads(call(cluster(), "backup key --print -o json")[1])
    assert answer["value"] == KEY
    assert set(answer) == {"hub", "secret", "key", "escrow", "dryRun", "written", "value"}
    assert KEY in call(cluster(ELSEWHERE), "backup key --print")[1].splitlines(), "without the end of its line"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "has no key key, or it is empty"),
        ({"key": ""}, "has no key key, or it is empty"),
        ({"key": "%%%"}, "has no key key, or it is empty"),
        ({"key": 7}, "has no key key, or it is empty"),
        ({"key": base64.b64encode(b"\xff\xfe").decode()}, "no printable text: write it to a file with --to"),
        ({"key": base64.b64encode(NASTY.encode("utf-8", "surrogatepass")).decode()}, "no printable text"),
    ],
)
def test_a_secret_that_holds_no_key(call: Call, data: dict[str, Any], said: str) -> None:
    meta = {"name": "sbn-backup-key", "namespace": "hub"}
    where = BackupCluster(("secret", {"metadata": meta, "data": data}))
    code, out, err = call(where, "backup key --print")
    assert code == 1 and said in err and not out
    harmless(err)


@pytest.mark.parametrize("backup", [BACKUP, {**BACKUP, "key": {}}, ELSEWHERE])
def test_declared(call: Call, backup: dict[str, Any]) -> None:
    where = cluster(backup)
    code, _, err = call(where, "backup key --declare 'sealed,\n room 214; Ada'")
    assert code == 0, err
    found = where.found("pdshub", "sbn")
    assert found["spec"]["backup"]["key"]["escrow"] == "sealed, room 214; Ada"
    assert found["spec"]["backup"]["key"].get("secretRef") == backup.get("key", {}).get("secretRef")
    assert json.loads(found["metadata"]["annotations"][CHANGED_BY])["by"] == "ada@desk"
    assert "declared in spec.backup.key.escrow of hub hub/sbn" in err and not asked(where)
    version = found["metadata"]["resourceVersion"]
    assert call(where, "backup key --declare 'sealed, room 214; Ada'")[0] == 0
    assert where.found("pdshub", "sbn")["metadata"]["resourceVersion"] == version, "nothing is written twice"


def test_a_dry_run_declares_nothing(call: Call) -> None:
    where = cluster()
    code, out, _ = call(where, "backup key --declare 'in the safe' --dry-run")
    assert code == 0 and "in the safe (not stored: --dry-run)" in out
    assert "key" not in where.found("pdshub", "sbn")["spec"]["backup"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--declare x", 2, "--declare: at least 3 characters"),
        (f"--declare {'x' * 301}", 2, "--declare: at most 300 characters"),
        ("--dry-run", 2, "--dry-run is for --declare"),
    ],
)
def test_what_is_refused(call: Call, line: str, code: int, said: str) -> None:
    got, out, err = call(cluster(), f"backup key {line}")
    assert (got, said in err) == (code, True), err
    assert not out


def test_a_cluster_that_drops_the_field(call: Call) -> None:
    class Dropping(BackupCluster):
        def _patched(self, *rest: Any) -> dict[str, Any]:
            made = super()._patched(*rest)
            made["spec"]["backup"].pop("key", None)
            return made

    code, _, err = call(Dropping(), "backup key --declare 'in the safe'")
    assert code == 1 and "spec.backup.key.escrow: the cluster's PDSHubs have no such field" in err
