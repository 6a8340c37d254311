"""The configuration is one that JupyterHub, OAuthenticator, DockerSpawner and pdshub_hub take as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdshub.dockerspawner import traits as known
from tests.unit.compose.support import ACME, FULL, exported, text

traitlets = pytest.importorskip("traitlets.config")
SECRETS = ("proxy-token", "crypt-key", "google-client-secret", "password")


def loaded(folder: Path, found: Any) -> Any:
    """What JupyterHub makes of the file, with the secrets of ``folder``."""
    for name in SECRETS:
        (folder / name).write_text("0123456789abcdef" * 4 + "\n")
    body = text(found, "jupyterhub_config.py").replace("/run/secrets", str(folder))
    (folder / "jupyterhub_config.py").write_text(body)
    return traitlets.loader.PyFileConfigLoader("jupyterhub_config.py", path=str(folder)).load_config()


VARIANTS: list[dict[str, Any]] = [
    {},
    {"tls": ACME, "isolation": "Subdomain"},
    {"signIn": {"development": {}}, "archive": None, "quota": None},
    {"server": {**FULL["server"], "profiles": [{"name": "a", "displayName": "A"},
                                              {"name": "b", "displayName": "B", "image": "example.org/b:1"}]}},
]  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_trait_is_one_and_takes_its_value(changes: dict[str, Any], tmp_path: Path) -> None:
    """Each is set on the class itself, which refuses values of other types; a misspelt one would be passed over."""
    docker = pytest.importorskip("dockerspawner")
    from jupyterhub import app, auth, crypto, proxy
    from oauthenticator.google import GoogleOAuthenticator

    classes = {
        "JupyterHub": app.JupyterHub, "DockerSpawner": docker.DockerSpawner, "Authenticator": auth.Authenticator,
        "GoogleOAuthenticator": GoogleOAuthenticator, "DummyAuthenticator": auth.DummyAuthenticator,
        "ConfigurableHTTPProxy": proxy.ConfigurableHTTPProxy, "CryptKeeper": crypto.CryptKeeper,
    }  # fmt: skip
    config = loaded(tmp_path, exported(**changes))
    for owner, section in config.items():
        found = classes[owner].class_traits(config=True)
        for name, value in section.items():
            assert name in found, f"{owner}.{name}"
            if not isinstance(value, traitlets.loader.LazyConfigValue):
                found[name]._validate(classes[owner].__new__(classes[owner]), value)


@pytest.mark.parametrize("changes", VARIANTS)
def test_the_list_alone_decides(changes: dict[str, Any], tmp_path: Path) -> None:
    """pdshub_hub's authenticator refuses traits that contradict the list: it is made with this configuration."""
    from pdshub_hub.development import PDSHubDevelopment
    from pdshub_hub.google import PDSHubGoogle

    config = loaded(tmp_path, exported(**changes))
    wanted = PDSHubDevelopment if changes.get("signIn") else PDSHubGoogle
    dotted = config.JupyterHub.authenticator_class
    name = dotted if isinstance(dotted, str) else f"{dotted.__module__}.{dotted.__name__}"
    assert wanted.__name__ in name or issubclass(dotted, wanted)
    made = wanted(config=config)
    assert made.allow_all is False and not made.allowed_users and made.any_allow_config


def test_the_import_knows_every_trait_that_is_written() -> None:
    for changes in VARIANTS:
        for line in text(exported(**changes), "jupyterhub_config.py").splitlines():
            if line.startswith("c."):
                owner, name = line.split(" = ")[0].removeprefix("c.").split(".")
                assert known.find(owner, name, {}), line
