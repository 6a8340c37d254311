"""``kubectl pdshub report``: what is a secret is not in it, what is in it is bounded and acts on nothing."""

from __future__ import annotations

import base64
import io
import json
import stat
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdshub.cli import report_blank, report_pack
from pdshub.cli.report_pack import Pack
from tests.unit.cli.backup_cluster import secret
from tests.unit.cli.day_two_cluster import DayTwoCluster, event, node, pod
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
TOKEN = "0123456789abcdef0123456789abcdef"
"""As JupyterHub makes them: uuid4().hex."""
RANDOM = "q9Zr7TtUuVvWwXxYyZz0123456789AbCdEfGhIjKlMnOp="
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
LEAKS: list[tuple[str, str]] = [
    (f"Authorization: token {TOKEN}", TOKEN),
    ("authorization: Basic YWRhOmh1bnRlcjI=", "YWRhOmh1bnRlcjI="),
    ("Proxy-Authorization=Digest username=ada, response=hunter2", "hunter2"),
    ("Cookie: jupyterhub-session-id=hunter2; _xsrf=hunter3", "hunter"),
    ("< Set-Cookie: jupyterhub-hub-login=hunter2; Path=/hub/", "hunter2"),
    ("{'Cookie': 'a=hunter2'}", "hunter2"),
    ("X-XSRFToken: hunter2", "hunter2"),
    ("GET /hub/oauth_callback?code=4/0hunter2&state=hunter3 (ada@192.0.2.7)", "hunter"),
    ("GET /user/ada/api?token=hunter2 HTTP/1.1", "hunter2"),
    ("https://ada:hunter2@registry.example.org/v2", "hunter2"),
    ("https://ada:hunt@er2@registry.example.org/v2", "er2"),
    ("password=hunter2", "hunter2"),
    ("PASSWORD: hunter2", "hunter2"),
    ("the password is hunter2", "hunter2"),
    ("restic -r x --password-command hunter2", "hunter2"),
    ("RESTIC_PASSWORD=hunter2 restic backup", "hunter2"),
    ('{"client_secret": "hunter2 with blanks", "x": 1}', "hunter2 with blanks"),
    ('{\\"client_secret\\": \\"hunter2\\"}', "hunter2"),
    ("{'api_token': 'hunt\\'er2'}", "er2"),
    ("clientSecret => hunter2", "hunter2"),
    ("cryptKeys: hunter2", "hunter2"),
    ("password:\n  hunter2", "hunter2"),
    ("password: |\n  hunter2\nnext", "hunter2"),
    ("db_url: postgres://hub:hunter2@db/hub", "hunter2"),
    (f"Bearer {RANDOM}", RANDOM),
    (f"got {JWT}", "c2lnbmF0dXJl"),
    (f"hub token {TOKEN}", TOKEN),
    (f"made {TOKEN}{TOKEN} for the proxy", TOKEN),
    (f"random {RANDOM}", RANDOM[:20]),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("GOCSPX-abcdefgh1234", "abcdefgh1234"),
    ("ghp_abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
    ("ya29.a0AfH6SMBx", "a0AfH6SMBx"),
    (f"key\n{KEY}\nend", "IBAAKCAQEA"),
    (f"cut off {KEY[:40]}", "MIIEow"),
    ("a" * 3990 + " password=hunter2", "hunter2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "leak"), LEAKS)
def test_what_is_blanked_in_texts(text: str, leak: str) -> None:
    assert leak in text
    assert leak not in report_blank.text(text)


@pytest.mark.parametrize(
    "text",
    [
        f"generation sha256:{TOKEN}{TOKEN} is released",
        "image registry.example.org/pdshub/hub:0.1.0",
        "pod survey-sbn has no node: 0/3 nodes are available: 3 Insufficient memory.",
        "uid 7d6ad2c4-1c8f-4d23-9a53-94f3cba5b6a4",
        "GET /hub/health 200",
        "ada@example.org is not on the list of this hub",
    ],
)
def test_what_stays(text: str) -> None:
    assert report_blank.text(text) == text


HUNTER = "hunter2"


@pytest.mark.parametrize(
    "found",
    [
        {"password": HUNTER},
        {"clientSecret": HUNTER},
        {"cookieSecret": {"value": HUNTER}},
        {"tokens": [HUNTER, {"a": HUNTER}]},
        {"deep": [[{"apiToken": HUNTER}]]},
        {"env": [{"name": "X", "value": HUNTER}]},
        {"extraEnv": {"X": HUNTER}},
        {"httpHeaders": [{"name": "X", "value": HUNTER}]},
        {"args": ["--password", f"--token={HUNTER}"]},
        {"command": ["sh", "-c", f"export TOKEN={HUNTER}"]},
        {"message": f"https://a:{HUNTER}@host"},
        {"kind": "Secret", "data": {"x": HUNTER}, "stringData": {"y": HUNTER}},
        {"kind": "Secret", "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"x": HUNTER}})}}},
        {"metadata": {"managedFields": [{"x": HUNTER}]}},
        {"config": {"CryptKeeper": {"keys": [HUNTER]}}},
        {"pin_password": 4711_0815},
        {"spec": {"values": {"hub": {"config": {"GoogleOAuthenticator": {"client_secret": HUNTER}}}}}},
    ],
)  # fmt: skip
def test_what_is_blanked_in_objects(found: dict[str, Any]) -> None:
    text = json.dumps(report_blank.thing(found))
    assert HUNTER not in text and "47110815" not in text
    assert next(iter(found)) in text, "keys stay"


def test_what_of_objects_stays() -> None:
    found = {
        "clientSecretRef": {"name": "google-oauth", "key": "client-secret"}, "secretName": "tls",
        "imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": False,
        "tokenExpirationSeconds": 3607, "replicas": 2, "nothing": None,
    }  # fmt: skip
    assert report_blank.thing(found) == found


@pytest.mark.parametrize("depth", [100, 100_000])
def test_depths(depth: int) -> None:
    found: Any = HUNTER
    for _ in range(depth):
        found = [found]
    assert "too deep" in json.dumps(report_blank.thing(found))


@settings(deadline=None)
@given(st.recursive(st.text() | st.none() | st.booleans() | st.integers(), lambda inner: st.lists(inner)
       | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_any_object_gives_one_that_acts_on_nothing(found: Any) -> None:
    text = json.dumps(report_blank.thing(found))
    json.loads(text)
    assert all(c.isprintable() for c in text)


@pytest.mark.parametrize(
    "part",
    ["a", "token", "eyJ", '"', "://", "password=", "A1a", "-", "token: '\\", "-----BEGIN A-----", "x-", "secret ",
     "password is ", "?code=", "ab", "cookie", "=", "token\n"],
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()
    report_blank.text((part * 100_000)[:400_000])
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("logs/hub/a.log", "logs/hub/a.log"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs", "abs"),
        ("a\\..\\b", "a_.._b"),
        ("a/\x1b[2J/\u202eb", "a/_2J/_b"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("x" * 500, "x" * 120),
    ],
)
def test_names_lead_nowhere(name: str, where: str) -> None:
    assert report_pack.path(name) == where


def test_sizes_are_bounded() -> None:
    pack = Pack(most_file=1000, most_all=3000)
    for number in range(6):
        pack.put_log(f"log{number}", "x" * 5000)
    assert all(len(one) <= 1000 + 60 for one in pack.files.values()) and pack.size <= 3000 + 240
    assert pack.left_out and len(pack.files) < 6
    many = Pack()
    for number in range(report_pack.MOST_FILES + 5):
        many.put(str(number), "x")
    assert len(many.files) == report_pack.MOST_FILES and len(many.left_out) == 5


def test_the_end_of_a_log_is_what_stays() -> None:
    pack = Pack(most_file=100, most_all=1000)
    pack.put_log("log", "first " + "x" * 500 + " last")
    assert pack.files["log"].endswith(b" last") and b"first" not in pack.files["log"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    there, link = tmp_path / "there.zip", tmp_path / "link.zip"
    there.write_text("mine")
    link.symlink_to(there)
    for file in (there, link):
        with pytest.raises(OSError):
            report_pack.write(file, Pack())
    assert there.read_text() == "mine"


INSTALLATION = {"metadata": {"name": "pdshub-installation", "namespace": "hub"}, "data": {"installation.yaml": "a: b"}}
PEOPLE = {"metadata": {"name": "sbn-people", "namespace": "hub"}, "data": {"people.json": '["ada@example.org"]'}}


def cluster() -> DayTwoCluster:
    container = {"name": "notebook", "restartCount": 1, "state": {}}
    where = DayTwoCluster(
        pod(containerStatuses=[container, {"name": "../x"}]), pod("jupyter-bela", "bela"), node(),
        event("Failed", f"token={HUNTER} {NASTY}"), secret("sbn-keys", crypt="hunter2", cookie="hunter3"),
        ("configmap", INSTALLATION), ("configmap", PEOPLE),
    )  # fmt: skip
    where.found("pdshub", "sbn")["spec"]["values"] = {"hub": {"cookieSecret": HUNTER, "extraEnv": {"A": HUNTER}}}
    where.log = f"started\nAuthorization: token {TOKEN}\n{NASTY}\n"  # type: ignore[misc]
    return where


def unpacked(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as found:
        assert found.testzip() is None
        return {name: found.read(name).decode() for name in found.namelist()}


def test_a_report(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "r.zip"
    code, out, err = call(cluster(), f"report --to {file}")
    assert code == 0 and str(file) in out and "names of people are in it" in out, out + err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    files = unpacked(file)
    whole = "\n".join(files.values())
    packed = [base64.b64encode(word).decode() for word in (b"hunter2", b"hunter3")]
    for leak in (HUNTER, "hunter3", TOKEN, *packed):
        assert leak not in whole, leak
    assert all(line.isprintable() for text in files.values() for line in text.split("\n"))
    assert "sbn-keys (Opaque): crypt=12 cookie=12" in files["secrets/hub.txt"]
    assert '"cookieSecret": "***"' in files["objects/hub/pdshubs.pdshub.dev.json"]
    assert "Authorization" in files["logs/hub/jupyter-ada.notebook.log"]
    assert "logs/hub/jupyter-ada.notebook.previous.log" in files and not [name for name in files if ".." in name]
    maps = files["objects/hub/configmaps.json"]
    assert "a: b" in maps and "sbn-people" in maps and "ada@example.org" not in maps
    assert "hub hub/sbn" in files["status.txt"] and "NOT blanked" in files["README.txt"]
    for text in (held for name, held in files.items() if not name.startswith("logs/")):
        assert not [line for line in text.split("\n") if line.startswith("FORGED")]


def test_no_value_of_a_secret_is_asked_for(call: Call, tmp_path: Path) -> None:
    where = cluster()
    call(where, f"report --to {tmp_path / 'r.zip'}")
    asked = [" ".join(one) for one in where.calls if "secret" in " ".join(one)]
    assert not [one for one in asked if "-o json" in one or "jsonpath" in one], asked


@pytest.mark.parametrize("closed", ["get secrets", "logs", "get events", "get nodes", "get configmaps", "get pods"])
def test_what_may_not_be_read_is_in_it(call: Call, tmp_path: Path, closed: str) -> None:
    where, file = cluster(), tmp_path / "r.zip"
    where.texts.clear()
    where.broken[closed] = f"forbidden: password={HUNTER}"

    code, _, err = call(where, f"report --to {file}")
    assert code == 0, err
    told = unpacked(file)["not-read.txt"]
    assert ("forbidden" in told or closed == "get secrets") and HUNTER not in told


def test_a_file_that_is_there(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "r.zip"
    file.write_text("mine")
    code, _, err = call(cluster(), f"report --to {file}")
    assert code == 1 and "is there already" in err and file.read_text() == "mine"
    assert call(cluster(), f"report --to {tmp_path / 'no' / 'r.zip'}")[0] == 1


def test_what_is_said_acts_on_nothing(call: Call, tmp_path: Path) -> None:
    where = cluster()
    where.broken["get nodes"] = NASTY
    _, out, err = call(where, f"report --to {tmp_path / 'r.zip'} -o json")
    harmless(out)
    harmless(err)
    json.loads(out)


def test_the_zip_is_a_zip() -> None:
    made = io.BytesIO()
    pack = Pack()
    pack.put("a", "b")
    made.close = lambda: None  # type: ignore[method-assign]
    report_pack.write(Path("x"), pack, lambda _: made)
    assert zipfile.ZipFile(io.BytesIO(made.getvalue())).read("a") == b"b"
