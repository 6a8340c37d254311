"""``/hub/earlier``: a person's own files as they were, to look at and to bring back.

Whose files is the session's user and nobody else: no parameter names a user. Tokens open no page (JupyterHub's pages
take cookies alone), so no server of somebody else asks in a visitor's name. What is asked for is a form with the token
that JupyterHub's forms have (``_xsrf``).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from jupyterhub.handlers.base import BaseHandler
from tornado.web import HTTPError, authenticated

from pdshub_hub import audit, earlier
from pdshub_hub.earlier import Desk
from pdshub_hub.earlier_answers import SNAPSHOT, Folder, Listing, end_of_day
from pdshub_hub.earlier_asks import Ask, Refused, Said, What, Why, below, beneath, crumbs

PAGE = "earlier"
_FORM = ("version", "day", "open", "back", "typed")


@dataclass(frozen=True)
class View:
    """What the page shows."""

    followed: bool
    listing: Listing | None
    version: str
    """Which one is looked at; empty for the list alone."""
    path: str
    folder: Folder | None
    waits: Ask | None
    said: Said | None

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """The folders on the way to the one that is shown."""
        return crumbs(self.path)

    def below(self, name: str) -> str:
        """The path of an entry of the folder that is shown."""
        return below(self.path, name)

    @property
    def title(self) -> str:
        """The version in words."""
        found = self.listing.has(self.version) if self.listing else None
        return found.words if found else self.version if not SNAPSHOT.fullmatch(self.version) else ""

    @property
    def again(self) -> bool:
        """Whether the page looks again by itself."""
        unfinished = self.listing is not None and any(not one.over for one in self.listing.restores)
        return self.waits is not None or (self.followed and unfinished)


def view(desk: Desk, user: str, version: str, path: str, said: Said | None = None) -> View:
    """What somebody sees; what is no version of theirs is shown as none. Pure but for the desk's memory."""
    listing = desk.listing(user)
    known = version if listing and listing.has(version) else ""
    if not known and version:
        with suppress(Refused):
            end_of_day(version)
            known = version
    folder = desk.folder(user, known, path) if known else None
    return View(desk.followed, listing, known, path, folder, desk.waits(user), said or desk.said(user))


def asked(form: dict[str, str]) -> tuple[What, str, str]:
    """What a form asks for: what, version, path. Raises Refused.

    ``open`` and ``back`` are buttons, with the path that they are about; ``typed`` is a path that somebody wrote, for
    a button that has none. Nothing at all is no path: all of a home is asked for by its name.
    """
    version = form.get("version") or form.get("day", "")
    if not SNAPSHOT.fullmatch(version):
        end_of_day(version)
    button = next((name for name in ("back", "open") if name in form), "")
    path = form.get(button) or form.get("typed", "")
    if not button or not path:
        raise Refused(Why.BAD_PATH)
    return (What.RESTORE if button == "back" else What.BROWSE), version, beneath(path)


class EarlierHandler(BaseHandler):  # type: ignore[misc]
    """The page."""

    @authenticated
    async def get(self) -> None:
        """The list of versions, and a folder of one of them where it is known."""
        desk, user = earlier.DESK, self._user()
        if desk.is_due(user):
            with suppress(Refused):
                desk.ask(user, What.LIST)
        version, path = self._text("version"), "."
        with suppress(Refused):
            path = beneath(self._text("path"))
        await self._show(view(desk, user, version, path))

    @authenticated
    async def post(self) -> None:
        """Look into a folder, or bring something back."""
        desk, user = earlier.DESK, self._user()
        form = {key: self._field(key) for key in _FORM if key in self.request.body_arguments}
        try:
            what, version, path = asked(form)
            if what is not What.BROWSE or desk.folder(user, version, path) is None or not SNAPSHOT.fullmatch(version):
                desk.ask(user, what, version, path)
                self._write_down(what, user, version, path)
        except Refused as error:
            if error.why in (Why.NOT_FOUND, Why.BAD_PATH):
                audit.record(audit.EARLIER_REFUSED, user, reason=error.why.value, address=self._address())
            self.set_status(error.why.status)
            await self._show(view(desk, user, form.get("version", ""), ".", Said(False, str(error), error.why.value)))
            return
        # a folder that is looked into is shown at its own address; what is brought back leaves one where one was
        shown = path if what is What.BROWSE else "/".join(path.split("/")[:-1]) or "."
        query = urlencode({"version": version, "path": shown})
        self.redirect(f"{self.hub.base_url}{PAGE}?{query}", status=HTTPStatus.SEE_OTHER)

    def _user(self) -> str:
        return str(self.current_user.name)

    def _address(self) -> str:
        return str(self.request.remote_ip or "")

    def _write_down(self, what: What, user: str, version: str, path: str) -> None:
        event = audit.EARLIER_RESTORE if what is What.RESTORE else audit.EARLIER_BROWSE
        audit.record(event, user, version=version[:12], path=path, address=self._address())

    def _text(self, name: str) -> str:
        return self._decoded(self.request.query_arguments.get(name))

    def _field(self, name: str) -> str:
        return self._decoded(self.request.body_arguments.get(name))

    def _decoded(self, values: list[bytes] | None) -> str:
        """The last value as it was sent: tornado's own reading makes blanks of control characters."""
        try:
            return values[-1].decode() if values else ""
        except UnicodeDecodeError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "this is no text") from None

    async def _show(self, shown: View) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.render_template("earlier.html", view=shown))


def _offered(user: Any) -> bool:
    """Whether pages show the way here: called with each page that is made (``template_vars``)."""
    return user is not None and earlier.DESK.followed


def setup(c: Any) -> None:
    """Add the page, and ``pdshub_earlier``, by which others know that there is something to show."""
    c.JupyterHub.extra_handlers.append((rf"/{PAGE}", EarlierHandler))
    c.JupyterHub.template_vars = {"pdshub_earlier": _offered, **dict(c.JupyterHub.get("template_vars") or {})}
