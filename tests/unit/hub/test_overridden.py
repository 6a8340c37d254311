"""Our classes in JupyterHub take the place of what they mean to, and of nothing else that has the same name."""

from __future__ import annotations

import pytest

pytest.importorskip("kubespawner")
pytest.importorskip("oauthenticator")

from traitlets import HasTraits

from pdshub_hub.audit_spool import SpoolHandler
from pdshub_hub.development import PDSHubDevelopment
from pdshub_hub.google import PDSHubGoogle
from pdshub_hub.listed import ListedMixin
from pdshub_hub.oauth_state import OnceOnlyCallback
from pdshub_hub.people_api import PeopleHandler
from pdshub_hub.spawner import PDSHubSpawner

OVERRIDDEN: list[tuple[type, set[str]]] = [
    (
        ListedMixin,
        {
            "add_user",
            "check_allowed",
            "is_admin",
            "normalize_username",
            "refresh_user",
            "validate_username",
            "_allow_existing_users_default",
        },
    ),
    (PDSHubDevelopment, {"authenticate"}),
    (
        PDSHubGoogle,
        {
            "_fetch_member_groups",
            "authenticate",
            "build_auth_state_dict",
            "callback_handler",
            "check_blocked_users",
            "login_handler",
            "update_auth_model",
            "user_info_to_username",
        },
    ),
    (PDSHubSpawner, {"get_pod_manifest", "load_state", "poll", "progress", "start"}),
    (OnceOnlyCallback, {"_state_cookie", "check_state", "get_state_cookie"}),
    (PeopleHandler, {"get"}),
    (SpoolHandler, {"get"}),
]
_MACHINERY = (
    set(vars(object))
    | {name for name in vars(HasTraits) if name.startswith("_")}
    | {"__module__", "__doc__", "__dict__", "__annotations__", "__weakref__"}
)
"""What Python and traitlets give every class."""


@pytest.mark.parametrize(("ours", "meant"), OVERRIDDEN, ids=[ours.__name__ for ours, _ in OVERRIDDEN])
def test_nothing_else_is_overridden(ours: type, meant: set[str]) -> None:
    """JupyterHub's spawner has a property ``_failed``: a method of that name made it drop each server as it started."""
    theirs = {name for base in ours.__mro__[1:] if not base.__module__.startswith("pdshub_hub") for name in vars(base)}
    assert {name for name in vars(ours) if name in theirs} - _MACHINERY == meant
