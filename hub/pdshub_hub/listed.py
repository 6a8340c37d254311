"""Authenticators that let in whom the list names: at each sign-in, and again while people are signed in.

JupyterHub asks an authenticator twice: ``check_allowed`` at a sign-in, ``refresh_user`` with the first request after
``auth_refresh_age`` seconds and before each start of a server. Both go by the list and nothing else.
Source: JupyterHub 5.5, jupyterhub/auth.py (Authenticator) and handlers/base.py (refresh_auth).
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError
from traitlets import default

from pdshub_hub import own_traits
from pdshub_hub.names import LIMIT, normal
from pdshub_hub.people import FILE, People, PeopleFile, Why

REFRESH_SECONDS = 1
"""For how long an answer of ``refresh_user`` holds: to ask again costs microseconds. 0 would switch it off."""
LONGEST_REFRESH = 10
"""Most seconds that an admin may set: longer, and somebody who was taken off the list would go on."""

_WORDS = {
    Why.NOT_LISTED: "{name} is not on the list of this hub. Ask whoever runs it to add this very name.",
    Why.SUSPENDED: "The access of {name} is suspended. Ask whoever runs this hub.",
    Why.LIST_UNREADABLE: "The list of this hub can't be read at present, so nobody new is let in. Try again later.",
    Why.UNVERIFIED_EMAIL: "The e-mail address {name} is not verified: verify it with the sign-in service.",
    Why.WRONG_DOMAIN: "The account {name} belongs to none of the organizations that this hub accepts.",
    Why.NAME_REFUSED: "The sign-in service gave a name that this hub takes from nobody: {name}",
}


class Refused(HTTPError):
    """Somebody is not let in. ``why`` is the reason, ``name`` who it is; the message is for that person to read."""

    def __init__(self, why: Why, name: str, words: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, words, reason="Forbidden")
        self.why, self.name, self.jupyterhub_message = why, name, words


def refuse(why: Why, name: str, about: str = "") -> Refused:
    """The refusal of a sign-in, which the audit trail writes down. ``about``: what is wrong about the name."""
    return Refused(why, name[:LIMIT], _WORDS[why].format(name=about or name))


class ListedMixin(Authenticator):  # type: ignore[misc]
    """Goes by the list of :data:`pdshub_hub.people.FILE`. Comes before the authenticator that proves who somebody is.

    A hub with traits that contradict the list, or that the authenticator does not know, does not start.
    """

    people: PeopleFile = FILE
    names_are_emails = False
    """Whether every name is an e-mail address that was verified."""
    required: dict[str, Any] = {  # noqa: RUF012 - traitlets copies no class variables
        "allow_all": False,
        "allow_existing_users": False,
        "allowed_users": set(),
        "admin_users": set(),
        "username_map": {},
        "refresh_pre_spawn": True,
    }
    """Traits that have one value here: the list decides, and a name is what was proved."""

    @default("allow_all")
    def _allow_all_default(self) -> bool:
        return False  # DummyAuthenticator's would be True, as allowed_users is empty

    @default("allow_existing_users")
    def _allow_existing_users_default(self) -> bool:
        return False

    @default("any_allow_config")
    def _any_allow_config_default(self) -> bool:
        return True

    @default("auth_refresh_age")
    def _auth_refresh_age_default(self) -> int:
        return REFRESH_SECONDS

    @default("refresh_pre_spawn")
    def _refresh_pre_spawn_default(self) -> bool:
        return True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.has_trait("auth_refresh_strict"):
            # from JupyterHub 6 on: without it tokens work on after refresh_user said no
            self.auth_refresh_strict = True
        own_traits.check(self, self.required, {"auth_refresh_age": (1, LONGEST_REFRESH)})

    def normalize_username(self, username: str) -> str:
        """The name in its normal form. Raises HTTPError 400 for one that has none, of a request of the API."""
        try:
            return normal(username)
        except ValueError as error:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(error)) from error

    def proved(self, username: str) -> str:
        """The normal form of a name under which somebody signs in. Raises Refused for one that has none."""
        try:
            return normal(username)
        except ValueError as error:
            raise refuse(Why.NAME_REFUSED, username, str(error)) from error

    def validate_username(self, username: str) -> bool:
        """Whether a name of the database or of an API request is in its normal form."""
        try:
            return normal(username) == username and bool(super().validate_username(username))
        except ValueError:
            return False

    def add_user(self, user: Any) -> None:
        """Nothing but a look at the name: being in the database admits nobody."""
        if not self.validate_username(user.name):
            raise ValueError(f"Invalid username: {user.name!r}")

    def present_list(self) -> People | None:
        """The list that counts: the one that was read last; None before one could be read."""
        return self.people.read().people

    def groups_of(self, auth_model: dict[str, Any] | None) -> Collection[str]:
        """The groups of somebody, as the list names groups."""
        return ()

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """True for whom the list admits. Raises Refused for everybody else.

        While the list can't be read nobody is admitted.
        """
        people, trouble = self.present_list(), self.people.read().trouble
        if people is None or trouble:
            self.log.error("Nobody is let in: %s", trouble)
            raise refuse(Why.LIST_UNREADABLE, username)
        why = people.judge(username, self.groups_of(auth_model), is_email=self.names_are_emails)
        if not why.admits:
            raise refuse(why, username)
        return True

    def is_admin(self, handler: Any, auth_model: dict[str, Any]) -> bool:
        """Whether the list has somebody among the admins: never None, which would leave the database as it is."""
        people = self.present_list()
        return people is not None and people.is_admin(auth_model["name"], self.groups_of(auth_model))

    async def judge(self, user: Any) -> tuple[Why, bool]:
        """Why somebody of the database may stay or not, and whether as an admin.

        The list that was read last is what counts while the file can't be read: then nobody is cut off who was in.
        """
        people = self.present_list()
        if people is None:
            return Why.LIST_UNREADABLE, bool(user.admin)
        groups = await self.present_groups(user) if people.allowed_groups | people.admin_groups else ()
        return people.judge(user.name, groups, is_email=self.names_are_emails), people.is_admin(user.name, groups)

    async def present_groups(self, user: Any) -> Collection[str]:
        """The groups of somebody who signed in before."""
        return ()

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> bool | dict[str, Any]:
        """False for whom the list does not admit (any more); what changed about an admin; True when all is as it was.

        While no list could be read in this run of the hub, whoever is signed in stays so, as what they are.
        """
        why, admin = await self.judge(user)
        if why is Why.LIST_UNREADABLE:
            return True
        if not why.admits:
            self.log.info("%s is cut off: %s", user.name, why.value)
            return False
        return True if bool(user.admin) == admin else {"name": user.name, "admin": admin}
