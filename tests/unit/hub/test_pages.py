"""The hub's pages, as a real JupyterHub serves them: what they say, and that texts of the spec stay text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from traitlets.config import Config

from pdshub.server_trouble.trouble import WORDS, Kind
from pdshub_hub import notice, pages
from tests.unit.hub.running import Hub, hub, words

EVIL = "<script>alert('x')</script>"
SAID = {
    "message": "",
    "title": "Small Bodies Node",
    "contact": "help@sbn.example.org",
    "motd": f"Closed on Friday. {EVIL}",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("hub")) as made:
        made.notice.write_text(json.dumps(SAID))
        yield made


def test_words_change_without_a_restart_and_their_loss_breaks_no_page(running: Hub) -> None:
    try:
        for text, says, not_says in (
            (json.dumps({**SAID, "title": "Another Node"}), "Another Node", "Small Bodies Node"),
            ("{", "PDSHub", "Small Bodies Node"),
            (None, "PDSHub", "help@sbn.example.org"),
        ):
            if text is None:
                running.notice.unlink()
            else:
                running.notice.write_text(text)
            page = running.get("/hub/login")
            assert page.status_code == 200 and says in words(page) and not_says not in page.text
    finally:
        running.notice.write_text(json.dumps(SAID))


PAGES = [
    ("/hub/login", None, 200, ["Small Bodies Node", "To be put on it, write to help@sbn.example.org", "Sign in"]),
    ("/hub/nowhere", None, 404, ["There is nothing at this address", "404 : Not Found"]),
    ("/hub/error/503", None, 200, ["Your server does not answer", "looks again every five seconds"]),
    ("/hub/home", "ada", 200, ["Your server is stopped", "Start My Server"]),
    ("/hub/user/ada/lab", "ada", 424, ["Your server is not running", "Your files are kept", "Start my server"]),
    ("/hub/user/bela/lab", "ada", 404, ["There is nothing at this address"]),
    ("/hub/admin", "ada", 403, ["You may not do this"]),
    ("/hub/token", "ada", 200, ["Small Bodies Node", "Closed on Friday."]),
]


@pytest.mark.parametrize(("path", "user", "status", "says"), PAGES, ids=[f"{p[0]}" for p in PAGES])
def test_pages_say(running: Hub, path: str, user: str | None, status: int, says: list[str]) -> None:
    page = running.get(path, running.sign_in(user) if user else None)
    assert page.status_code == status, words(page)
    for text in says:
        assert text in words(page)
    assert "Closed on Friday." in words(page) and EVIL not in page.text
    assert 'href="mailto:help@sbn.example.org"' in page.text


def test_a_form_that_was_open_too_long_is_no_refusal(running: Hub) -> None:
    import requests

    page = requests.post(f"{running.address}/hub/login", data={"username": "ada", "password": "x"}, timeout=120)
    assert page.status_code == 403 and "This form was too old" in words(page)


FAILED = [(kind.value.lower(), 503, list(WORDS[kind])) for kind in (Kind.QUOTA, Kind.ARCHIVE_NOT_MOUNTED, Kind.MEMORY)]


@pytest.mark.parametrize(("user", "status", "says"), [*FAILED, ("late", 503, list(WORDS[Kind.NO_ROOM]))])
def test_a_failed_start_says_why_and_what_to_do(running: Hub, user: str, status: int, says: list[str]) -> None:
    page = running.start(user)
    assert page.status_code == status, words(page)
    for text in ["Your server did not start", "Start again", "write to help@sbn.example.org", *says]:
        assert text in words(page)
    assert "&lt;b&gt;1 Insufficient" in page.text and "<b>1 Insufficient" not in page.text


def test_a_fault_of_the_hub_itself_is_no_bare_error(running: Hub) -> None:
    page = running.start("broken")
    assert page.status_code == 500
    for text in ("Your server did not start", "Start it again", "write to help@sbn.example.org"):
        assert text in words(page)


def test_the_page_that_waits_looks_anew_when_the_start_failed(running: Hub) -> None:
    session = running.sign_in("patient")
    page = running.get("/hub/spawn/patient", session)
    assert "Your server is starting" in words(page)
    assert re.search(r"MutationObserver.*bg-danger.*reload", page.text, re.S)


def test_many_failed_starts_in_a_row_do_not_end_the_hub(running: Hub) -> None:
    for _ in range(6):
        running.start("quota")
    assert running.alive()


STRANGER = """
from tornado import web
class Closed(c.JupyterHub.authenticator_class if isinstance(c.JupyterHub.authenticator_class, type) else __import__(
        "jupyterhub.auth", fromlist=["x"]).DummyAuthenticator):
    login_service = "Google"
    def get_handlers(self, app):
        class Callback(__import__("jupyterhub.handlers", fromlist=["x"]).BaseHandler):
            async def get(self):
                raise web.HTTPError(403, "mallory@example.org is not on the list")
        return [("/oauth_callback", Callback)]
c.JupyterHub.authenticator_class = Closed
"""


def test_someone_who_is_not_on_the_list_reads_whom_to_write_to(tmp_path: Path) -> None:
    with hub(tmp_path, STRANGER) as closed:
        closed.notice.write_text(json.dumps(SAID))
        page = closed.get("/hub/oauth_callback")
        assert page.status_code == 403
        for text in (
            "You are not on the list of this hub",
            "Google knows you, this hub does not",
            "mallory@example.org is not on the list",
            "write to help@sbn.example.org",
            "Sign in with another account",
        ):
            assert text in words(page)
        front = closed.get("/hub/login")
        assert "Sign in with Google" in words(front) and "with the Google account that is on it" in words(front)


# --- the configuration


def configured(**traits: object) -> Config:
    config = Config()
    for name, value in traits.items():
        config.JupyterHub[name] = value
    pages.setup(config)
    return config


def test_what_an_admin_has_set_goes_first() -> None:
    made = configured(template_paths=["/mine"], template_vars={"pdshub": "mine", "x": 1}, spawner_class="my.Spawner")
    assert made.JupyterHub.template_paths == ["/mine", str(pages.TEMPLATES)]
    assert made.JupyterHub.template_vars == {"pdshub": "mine", "x": 1}
    assert made.JupyterHub.spawner_class == "my.Spawner"


@pytest.mark.parametrize("named", ["kubespawner.KubeSpawner", "kubespawner"])
def test_kubespawner_is_replaced_by_ours_and_its_settings_hold(named: str) -> None:
    made = configured(spawner_class=named)
    assert made.JupyterHub.spawner_class == pages.SPAWNER
    spawner = pytest.importorskip("kubespawner").KubeSpawner
    from pdshub_hub.spawner import PDSHubSpawner

    assert issubclass(PDSHubSpawner, spawner) and PDSHubSpawner.reflectors is spawner.reflectors


def test_templates_of_ours_come_before_jupyterhubs() -> None:
    asked = configured().JupyterHub.template_paths.get_value(["/theirs"])
    assert asked == [str(pages.TEMPLATES), "/theirs"]


def test_pages_go_on_where_the_variable_was_replaced(tmp_path: Path) -> None:
    """Somebody's extraConfig may set template_vars as a whole."""
    jinja2 = pytest.importorskip("jinja2")
    jupyterhub = pytest.importorskip("jupyterhub")
    from jupyterhub._data import DATA_FILES_PATH

    theirs = Path(DATA_FILES_PATH) / "templates"
    loader = jinja2.ChoiceLoader(
        [
            jinja2.PrefixLoader({"templates": jinja2.FileSystemLoader(str(theirs))}),
            jinja2.FileSystemLoader([str(pages.TEMPLATES), str(theirs)]),
        ]
    )
    environment = jinja2.Environment(loader=loader, autoescape=True)
    page = environment.get_template("404.html").render(
        static_url=lambda path, **_: path, base_url="/hub/", status_code=404, status_message="Not Found", services=[]
    )
    assert "There is nothing at this address" in page and jupyterhub.__version__


def test_every_template_is_a_kind_of_jupyterhubs_own() -> None:
    """A template that copies a whole page would miss what JupyterHub changes. A page that JupyterHub has not stands in
    the frame of its others."""
    from jupyterhub._data import DATA_FILES_PATH

    theirs = {file.name for file in (Path(DATA_FILES_PATH) / "templates").glob("*.html")}
    assert "home.html" in theirs
    for file in pages.TEMPLATES.glob("*.html"):
        text = file.read_text()
        own = file.name == "pdshub_words.html" or 'extends "error.html"' in text
        own = own or (file.name not in theirs and '{% extends "page.html" %}' in text)
        assert own or f'{{% extends "templates/{file.name}" %}}' in text, file.name
        assert not re.search(r"https?://", text), f"{file.name}: pages fetch nothing from elsewhere"


def test_the_notice_file_is_where_the_chart_mounts_it() -> None:
    from pdshub.render import notice as rendered

    assert str(notice.FILE).startswith(f"{rendered.DIRECTORY}/")
