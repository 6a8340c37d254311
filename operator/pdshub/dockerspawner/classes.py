"""Which spawner and which authenticator a configuration chose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.dockerspawner import traits
from pdshub.dockerspawner.settings import Assignment
from pdshub.dockerspawner.values import Reference

_SHORT = {
    "docker": "DockerSpawner", "docker-swarm": "SwarmSpawner", "docker-system-user": "SystemUserSpawner",
    "dummy": "DummyAuthenticator", "pam": "PAMAuthenticator", "native": "NativeAuthenticator",
    "google": "GoogleOAuthenticator", "local-google": "LocalGoogleOAuthenticator", "github": "GitHubOAuthenticator",
    "generic-oauth": "GenericOAuthenticator", "gitlab": "GitLabOAuthenticator", "azuread": "AzureAdOAuthenticator",
    "globus": "GlobusOAuthenticator", "cilogon": "CILogonOAuthenticator", "ldap": "LDAPAuthenticator",
    "firstuse": "FirstUseAuthenticator", "tmp": "TmpAuthenticator", "null": "NullAuthenticator",
}  # fmt: skip
"""Entry points of JupyterHub's plugins."""


@dataclass(frozen=True)
class Chosen:
    """A class, and those that it is made from."""

    name: str
    family: tuple[str, ...]
    certain: bool = True
    """Whether it is known that this one runs."""

    def has(self, owner: str) -> bool:
        """Whether traits set for ``owner`` are its traits."""
        return owner in self.family


def _chosen(value: Any, default: str, bases: Mapping[str, str]) -> Chosen:
    dotted = value.name if isinstance(value, Reference) else value if isinstance(value, str) else default
    name = _SHORT.get(dotted, dotted.rpartition(".")[2])
    return Chosen(name, tuple(traits.family(name, bases)))


def spawner(found: Mapping[tuple[str, str], Assignment], bases: Mapping[str, str]) -> Chosen:
    """The spawner; DockerSpawner where that is not known."""
    each = found.get(("JupyterHub", "spawner_class"))
    chosen = _chosen(each.value if each else None, "DockerSpawner", bases)
    if "DockerSpawner" in chosen.family:
        return chosen
    return Chosen(chosen.name, (chosen.name, "DockerSpawner", "Spawner"))


def authenticator(found: Mapping[tuple[str, str], Assignment], bases: Mapping[str, str]) -> Chosen:
    """The authenticator; PAM, JupyterHub's own, where none is chosen.

    Where one is chosen by what is not known here, it is the one whose traits are set, if there is only one, and none is
    certain. One that nobody knows is an Authenticator all the same.
    """
    each = found.get(("JupyterHub", "authenticator_class"))
    if each is None or isinstance(each.value, str | Reference):
        chosen = _chosen(each.value if each else None, "PAMAuthenticator", bases)
    else:
        owners = {owner for owner, _ in found if owner.endswith("Authenticator")} - {"Authenticator", "OAuthenticator"}
        likely = _chosen(None, owners.pop() if len(owners) == 1 else "Authenticator", bases)
        chosen = Chosen(likely.name, likely.family, certain=False)
    if "Authenticator" in chosen.family:
        return chosen
    above = ("OAuthenticator", "Authenticator") if chosen.name.endswith("OAuthenticator") else ("Authenticator",)
    return Chosen(chosen.name, (*chosen.family, *above), chosen.certain)


GOOGLE = "GoogleOAuthenticator"
