"""What the hub warns people of, in a real JupyterLab: the notification comes, and goes when it is taken back."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator

import pytest
import requests

from tests.pictures import PROGRAM, Browser, browser
from tests.unit.user_server import IMAGE, TOKEN, Image, Server, SmallHub, image, lab_python, serving, small_hub

WORDS = "Your server is stopped then, as files of your home are brought back. Save your work."
STOP = {"id": "uid-1", "message": WORDS, "seconds": 600}
EXTENSION = ["labextensions/pdshub-earlier/package.json", "labextensions/pdshub-earlier/static/remoteEntry.js"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if not lab_python():
        pytest.skip("needs a Python with JupyterHub and JupyterLab: PDSHUB_LAB_PYTHON")
    built = image(tmp_path_factory.mktemp("image"))
    share = built.jupyter / "share/jupyter"
    installed = share / "labextensions"
    if installed.is_symlink():  # of the environment that lies below: nothing is written there
        below = installed.resolve()
        installed.unlink()
        installed.mkdir()
        for one in below.iterdir():
            (installed / one.name).symlink_to(one)
    for name in EXTENSION:
        file = share / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((IMAGE / name.replace("labextensions/pdshub-earlier", "earlier")).read_bytes())
    return built


@pytest.fixture(scope="module")
def server(made: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with small_hub() as hub, serving(made, tmp_path_factory.mktemp("home"), hub) as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    SmallHub.warnings = b'{"warnings": []}'
    yield
    SmallHub.warnings = b'{"warnings": []}'


def says(*warnings: object) -> None:
    """The hub, from now on; the server believes its last answer for some seconds."""
    SmallHub.warnings = json.dumps({"warnings": list(warnings)}).encode()


def heard(server: Server) -> list[dict[str, object]]:
    answer = server.get("pdshub/warnings")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["warnings"]
    return found


def test_a_server_passes_on_what_its_hub_says(server: Server) -> None:
    says(STOP)
    until = time.monotonic() + 300
    while not (found := heard(server)):
        assert time.monotonic() < until
        time.sleep(0.5)
    ((one),) = found
    assert one["message"] == WORDS and 0 < float(str(one["seconds"])) <= 600
    stranger = requests.get(f"{server.url}/user/ada/pdshub/warnings", timeout=120, allow_redirects=False)
    assert stranger.status_code in (302, 403), "who is not let into the server hears nothing"


ANSWERS = [
    b"",
    b"<html>",
    b"[]",
    b'{"warnings": 5}',
    b'{"warnings": [{"id": "x"}]}',
    b'{"warnings": [null]}',
    b"[" * 99_999,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_hub_that_says_something_else_warns_of_nothing(answer: bytes) -> None:
    pytest.importorskip("jupyter_server")
    found = importlib.util.spec_from_file_location("pdshub_warnings", IMAGE / "pdshub_warnings.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert module.read(answer) == []
    many = json.dumps({"warnings": [{**STOP, "message": "x" * 5000}] * 50}).encode()
    assert len(module.read(many)) <= 5 and all(len(row["message"]) <= 300 for row in module.read(many))


def seen(eyes: Browser, words: str, there: bool = True) -> None:
    until = time.monotonic() + 300
    while (words in eyes.text()) is not there:
        assert time.monotonic() < until, eyes.text()[-2000:]
        time.sleep(0.5)


@pytest.mark.skipif(not PROGRAM, reason="needs chromium")
def test_jupyterlab_tells_whoever_works_there_and_no_longer_than_it_holds(server: Server) -> None:
    says(STOP)
    with browser() as eyes:
        eyes.within = 600.0
        eyes.ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"token {TOKEN}"})
        eyes.open(f"{server.url}/user/ada/lab", "File")
        seen(eyes, WORDS)
        assert "Save All" in eyes.text()
        assert eyes.text().count(WORDS) == 1
        says()
        seen(eyes, WORDS, there=False)
