"""A hub does not start with traits that contradict the list or that nobody knows; its log says which and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hub.real_hub import PASSWORD, Browser, RealHub, configured, running, said, spec, start

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("misspelt", {"GoogleOAuthenticator": {"hosted_domains": ["x"]}}, "is hosted_domain meant?"),
]


@pytest.mark.parametrize(("config", "says"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_a_wrong_trait_ends_the_hub(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    file = configured(tmp_path, 0, spec(), "", {"config": config})
    assert start(tmp_path, file).wait(300) != 0
    log = (tmp_path / "log").read_text()
    assert says in log and "PDSHub: hub.config." in log and "spec.values" in log


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running(tmp_path_factory.mktemp("development"), spec(google=False)) as hub:
        yield hub


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("ada", PASSWORD, 302),
        ("ADA ", PASSWORD, 302),
        ("ada", "another", 403),
        ("ada", "", 403),
        ("eve", PASSWORD, 403),
        ("x@asu.edu", PASSWORD, 403),  # nobody verified that address
        ("\u0430da", PASSWORD, 403),
        ("", PASSWORD, 403),
    ],
)
def test_the_shared_password_admits_whom_the_list_names(
    development: RealHub, name: str, password: str, status: int
) -> None:
    development.write(allowed=["ada"], domains=["asu.edu"])
    answer = Browser(development).fill_in(name, password)
    assert answer.status_code == status, said(answer)


def test_a_form_without_its_token_signs_nobody_in(development: RealHub) -> None:
    development.write(allowed=["ada"])
    browser = Browser(development)
    form = {"username": "ada", "password": PASSWORD}
    answer = browser.session.post(development.url + "/hub/login", data=form, allow_redirects=False, timeout=30)
    assert answer.status_code == 403 and browser.home() == 302
