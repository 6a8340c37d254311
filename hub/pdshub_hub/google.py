"""Google's sign-in for whom the list names, by a verified e-mail address.

Source: OAuthenticator 17.4, google.py and oauth2.py; Google, "OpenID Connect" (claims email, email_verified, hd).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from oauthenticator.google import GoogleOAuthenticator
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError
from traitlets import default

from pdshub_hub.google_directory import Directory, DirectoryError
from pdshub_hub.listed import ListedMixin, refuse
from pdshub_hub.oauth_state import OnceOnlyCallback, StateLogin
from pdshub_hub.people import People, Why

GROUP_SECONDS = 7 * 24 * 3600
"""For how long somebody is in the groups in which they were at their last sign-in."""
_TIME = "pdshub_time"
"""Key of the stored state: when somebody signed in, in seconds since 1970."""
_KEPT = ("email", "verified_email", "email_verified", "hd", "domain", "google_groups", "groups")
"""What is stored of Google's answer, beside no token at all."""


def verified(info: Mapping[str, Any]) -> bool:
    """Whether Google says that the e-mail address is verified, under either of the names of that claim.

    ``verified_email`` is that of the endpoint oauth2/v1/userinfo, ``email_verified`` that of OpenID Connect. Both have
    to be true where both are there; a text is not true, whatever it says.
    """
    said = [info[claim] for claim in ("verified_email", "email_verified") if claim in info]
    return bool(said) and all(one is True for one in said)


def _addresses(groups: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Google's groups as the list names them: ``name@domain``."""
    return frozenset(f"{name}@{domain}" for domain, names in groups.items() for name in names)


class PDSHubGoogle(ListedMixin, GoogleOAuthenticator):  # type: ignore[misc]
    """Google accounts that are on the list. Names are what the claim ``email`` says, in lower case."""

    login_handler = StateLogin
    callback_handler = OnceOnlyCallback
    directory = Directory()
    names_are_emails = True
    required = {  # noqa: RUF012 - see ListedMixin
        **ListedMixin.required,
        "strip_domain": False,
        "username_claim": "email",
        "allowed_scopes": [],
        "userdata_from_id_token": False,
        "enable_pkce": True,
    }

    @default("strip_domain")
    def _strip_domain_default(self) -> bool:
        return False  # with one hosted domain the name would lose it

    @default("enable_auth_state")
    def _enable_auth_state_default(self) -> bool:
        return True  # the groups at the last sign-in; encrypted

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> dict[str, Any] | None:
        """Who came back from Google. Raises HTTPError that says what to do where Google does not tell."""
        try:
            found: dict[str, Any] | None = await super().authenticate(handler, data, **kwargs)
        except HTTPClientError as error:
            if error.code == HTTPStatus.BAD_REQUEST:  # invalid_grant: RFC 6749, section 5.2
                raise HTTPError(HTTPStatus.BAD_REQUEST, "This sign-in has ended or was used: sign in again") from error
            words = "The sign-in service does not answer this hub, or does not know it: ask whoever runs this hub"
            raise HTTPError(HTTPStatus.BAD_GATEWAY, words) from error
        return found

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """The e-mail address. Raises Refused where there is none, or none that is verified."""
        email = user_info.get("email")
        if not isinstance(email, str) or email.count("@") != 1:
            raise refuse(Why.NAME_REFUSED, str(email or ""), "no e-mail address")
        name = self.proved(email)
        if not verified(user_info):
            raise refuse(Why.UNVERIFIED_EMAIL, name)
        user_info["domain"] = name.rpartition("@")[2]
        return name

    def build_auth_state_dict(self, token_info: dict[str, Any], user_info: dict[str, Any]) -> dict[str, Any]:
        """What is stored of a sign-in: who it was and when. Google's tokens are not: nothing here uses them again."""
        kept = {key: user_info[key] for key in _KEPT if key in user_info}
        return {self.user_auth_state_key: kept, "scope": [], _TIME: time.time()}

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """With the groups of Google's directory, where traits name some. Who is admin says ``is_admin``, later."""
        found: dict[str, Any] = await super().update_auth_model(auth_model)
        return {**found, "admin": None}

    async def _fetch_member_groups(self, member_email: str, user_email_domain: str, *seen: set[str]) -> set[str]:
        """Groups of Google's directory, without their domain. Where it can't be asked there are none: no group admits.

        OAuthenticator asks for groups within groups by this method again.
        """
        domain = user_email_domain
        key, administrator = self.google_service_account_keys.get(domain), self.gsuite_administrator.get(domain)
        if not key or not administrator:
            return set()
        try:
            token = await self.directory.token(self.httpfetch, domain, key, f"{administrator}@{domain}")
            by_domain = {domain: SimpleNamespace(token=token)}
            found: set[str] = await super()._fetch_member_groups(member_email, domain, *seen, credentials=by_domain)
        except (DirectoryError, HTTPClientError, OSError) as error:
            self.log.error("Groups of %s are not known: %s", member_email, error)
            return set()
        return found

    def check_blocked_users(self, username: str, auth_model: dict[str, Any]) -> bool:
        """True where the account is of a hosted domain, if there are any. Raises Refused where it is not."""
        if not super().check_blocked_users(username, auth_model):
            raise refuse(Why.WRONG_DOMAIN, username)
        return True

    def present_list(self) -> People | None:
        """The list, with the groups that traits name beside it."""
        people = super().present_list()
        if people is None or not (self.allowed_google_groups or self.admin_google_groups):
            return people
        return replace(
            people,
            allowed_groups=people.allowed_groups | _addresses(self.allowed_google_groups),
            admin_groups=people.admin_groups | _addresses(self.admin_google_groups),
        )

    def groups_of(self, auth_model: dict[str, Any] | None) -> Collection[str]:
        """Groups of Google's directory as ``name@domain``, and those of the claim ``groups`` as they stand there.

        None for a sign-in that is longer ago than GROUP_SECONDS.
        """
        state = (auth_model or {}).get("auth_state") or {}
        info = state.get(self.user_auth_state_key) or {}
        if not 0 <= time.time() - float(state.get(_TIME) or 0) < GROUP_SECONDS:
            return ()
        claimed = info.get("groups")
        named = [one for one in claimed if isinstance(one, str)] if isinstance(claimed, list) else []
        return {*_addresses({info.get("domain", ""): info.get("google_groups") or ()}), *named}

    async def present_groups(self, user: Any) -> Collection[str]:
        """The groups at the last sign-in."""
        return self.groups_of({"auth_state": await user.get_auth_state()})
