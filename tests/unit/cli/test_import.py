"""``kubectl pdshub import dockerspawner``: files, people, databases, and wrong use."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.api.hub import PDSHubSpec
from pdshub.api.view import ArchiveViewSpec
from pdshub.cli import import_database, main
from pdshub.cli.hub_choice import UseError
from tests.unit.cli.local_pods import LocalPods, state
from tests.unit.dockerspawner.samples import DATA, make

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def made(*words: str) -> tuple[int, str, str]:
        try:
            code = main.main(["import", "dockerspawner", *words])
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return made


def test_what_is_written_can_be_applied(run: Run, tmp_path: Path) -> None:
    code, out, err = run(str(DATA / "planetary"), "--name", "node", "-n", "hubs")
    assert code == 0, err
    folder = tmp_path / "pdshub-import"
    hub = yaml.safe_load((folder / "hub.yaml").read_text())
    assert hub["metadata"] == {"name": "node", "namespace": "hubs"}
    PDSHubSpec.model_validate(hub["spec"])
    view = yaml.safe_load((folder / "view.yaml").read_text())
    assert view["kind"] == "ArchiveView" and hub["spec"]["archive"]["viewRef"] == view["metadata"]["name"]
    ArchiveViewSpec.model_validate(view["spec"])
    assert "ada@node.example.org" in (folder / "users.txt").read_text()
    assert "Contradicts" in out and (folder / "report.txt").read_text().strip() in out
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["planetary", "lab", "workshop"])
def test_the_deployment_stays_as_it_was(name: str, run: Run) -> None:
    before = state(DATA / name)
    assert run(str(DATA / name), "--to", "out")[0] == 0
    assert state(DATA / name) == before


def test_a_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(str(DATA / "planetary"), "--dry-run")
    assert code == 0 and "nothing was written" in out and not list(tmp_path.iterdir())


def test_answers_for_programs(run: Run) -> None:
    code, out, _ = run(str(DATA / "planetary"), "--dry-run", "-o", "json")
    answer = json.loads(out)
    assert code == 0 and set(answer) == {"hub", "view", "paths", "report", "dryRun", "files", "homes", "database"}
    assert set(answer["report"]["entries"][0]) == {"verdict", "subject", "words", "file", "line"}
    assert {entry["verdict"] for entry in answer["report"]["entries"]} <= {
        "taken",
        "counterpart",
        "none",
        "contradiction",
        "unread",
    }
    assert "not-for-any-report" not in out


def test_files_that_somebody_has_edited_stay(run: Run, tmp_path: Path) -> None:
    assert run(str(DATA / "planetary"))[0] == 0
    hub = tmp_path / "pdshub-import" / "hub.yaml"
    hub.write_text(hub.read_text() + "# mine\n")
    code, out, _ = run(str(DATA / "planetary"), "--hostname", "new.example.org")
    assert code == 0 and hub.read_text().endswith("# mine\n")
    assert "new.example.org" in (tmp_path / "pdshub-import" / "hub.yaml.new").read_text() and "somebody changed" in out


def test_a_database(run: Run, tmp_path: Path) -> None:
    old = make(tmp_path / "old.sqlite", "ada", "bela", native={"ada": True, "bela": False})
    (tmp_path / "names").write_text("ada ada@example.org\nbela bela@example.org\n")
    before = old.read_bytes()
    code, _, err = run(str(DATA / "workshop"), "--database", str(old), "--names", "names")
    assert code == 0, err
    made = tmp_path / "pdshub-import" / "jupyterhub.sqlite"
    opened = sqlite3.connect(made)
    assert opened.execute("SELECT name FROM users ORDER BY id").fetchall() == [
        ("ada@example.org",),
        ("bela@example.org",),
    ]
    opened.close()
    assert old.read_bytes() == before and stat.S_IMODE(made.stat().st_mode) == 0o600
    hub: Any = yaml.safe_load((tmp_path / "pdshub-import" / "hub.yaml").read_text())
    assert hub["spec"]["users"]["allowed"] == ["ada@example.org"]


def test_keys_are_asked_for(run: Run, tmp_path: Path) -> None:
    old = make(tmp_path / "old.sqlite", "ada", encrypted=("ada",))
    code, _, err = run(str(DATA / "lab"), "--database", str(old))
    assert code == 2 and "--crypt-keys" in err
    assert run(str(DATA / "lab"), "--database", str(old), "--crypt-keys", "drop")[0] == 0


def test_the_old_keys_come_behind_the_new_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = LocalPods(tmp_path / "cluster", monkeypatch)
    monkeypatch.setattr(import_database, "inspect", _Taking)
    old = make(tmp_path / "old.sqlite", "ada", encrypted=("ada",))
    (tmp_path / "keys").write_text("ab" * 32)
    code, out, err = run(
        str(DATA / "lab"), "--name", "lab", "--database", str(old), "--crypt-keys", "keys", "--load-database"
    )
    assert code == 0, err
    (made,) = pods.objects("secret")
    assert made["metadata"]["name"] == "lab-keys"
    new, _, behind = made["stringData"]["hub.config.CryptKeeper.keys"].partition(";")
    assert behind == "ab" * 32 and len(new) == 64
    (claim,) = pods.objects("persistentvolumeclaim")
    assert claim["metadata"]["labels"]["pdshub.dev/hub"] == "lab" and claim["metadata"]["name"] == "hub-db-dir"
    assert "ab" * 32 not in out + err + json.dumps(pods.calls())
    assert not pods.objects("pod")


class _Taking:
    """Takes the place of the hub's image: no JupyterHub has to be in this process' path."""

    @staticmethod
    def getsource(module: Any) -> str:
        said = "print('alembic says'); print(json.dumps({'users': 1, 'revision': 'r'}))"
        return f"import json, sys; sys.stdin.read(); {said}"


def test_a_running_hub_keeps_its_database(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = LocalPods(tmp_path / "cluster", monkeypatch)
    body = {"kind": "Pod", "metadata": {"name": "hub-1", "labels": {"component": "hub"}}}
    (pods.folder / "objects" / "pod-hub-1.json").write_text(json.dumps(body))
    old = make(tmp_path / "old.sqlite", "ada")
    code, _, err = run(str(DATA / "lab"), "--database", str(old), "--load-database")
    assert code == 1 and "a hub runs" in err and not pods.objects("persistentvolumeclaim")


@pytest.mark.parametrize("text", ["", "x", "ab" * 31, "ab" * 32 + ";", "€" * 64])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(UseError) as error:
        import_database.keys(text)
    assert text == "" or text not in str(error.value) or len(text) < 2


@pytest.mark.parametrize("text", ["ab" * 32, f"JUPYTERHUB_CRYPT_KEY={'ab' * 32}", f"{'ab' * 32};{'cd' * 32}\n",
                                  "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="])  # fmt: skip
def test_keys_that_are_some(text: str) -> None:
    assert import_database.keys(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere"], "is no directory"),
        ([str(DATA / "planetary" / "lists")], "--config"),
        ([str(DATA / "lab"), "--config", "../planetary/jupyterhub_config.py"], "leads out"),
        ([str(DATA / "lab"), "--config", "none.py"], "none.py"),
        ([str(DATA / "lab"), "--database", "/nowhere"], "is no database"),
        ([str(DATA / "lab"), "--names", "/nowhere"], "No such file"),
        ([str(DATA / "lab"), "--load-database"], "needs --database"),
        ([str(DATA / "lab"), "--final"], "add --homes"),
        ([str(DATA / "lab"), "--homes", "/nowhere"], "is no directory"),
        ([str(DATA / "lab"), "--name", "NOT A NAME"], "--name"),
        ([str(DATA / "lab"), "--size", "much"], "is no size"),
    ],
)
def test_wrong_use(words: list[str], said: str, run: Run) -> None:
    code, _, err = run(*words)
    assert code == 2 and said in err, err


@pytest.mark.parametrize("text", ["ada", "ada a b", "ada a@x\nbela a@x", "ada /x"])
def test_names_that_are_none(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "names").write_text(text)
    assert run(str(DATA / "lab"), "--names", "names")[0] == 2
