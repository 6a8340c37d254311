"""``python -m pdshub_hub.drill``: boots a hub from a copy of the database, signs one person in, counts, and ends.

What came of it is one JSON object, which the operator reads as the container's termination message. Everything happens
on this machine's own address: the pod has no network. Exit codes: 0 the hub is whole; 1 it is not, the answer says why.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, OpenerDirector, Request, build_opener

from pdshub_hub.drill_hub import TOLD

FOLDER, ANSWER = Path("/drill"), Path("/dev/termination-log")
SECONDS = 300.0
HEADER = b"SQLite format 3\0"
"""Source: SQLite, Database File Format, section 1.3."""
SUFFIXES = (".sqlite", ".sqlite3", ".db")
STAGE = ".pdshub-restore"
"""Where restores are until they are whole (pdshub.backup.home)."""
LONGEST = 600
"""Characters of a message: an answer has 4096 bytes at most."""
PAGE = 200
"""Users in an answer of the hub: JupyterHub's own bound."""
CONFIG = "from pdshub_hub import drill_hub\n\ndrill_hub.setup(get_config())\n"


class Failed(Exception):
    """The hub is not whole; the text says why."""


def database_in(folder: Path) -> Path:
    """The SQLite database below a folder. Raises Failed.

    A restore that was done twice left two of the same name: the newer is taken. What a restore has not finished, and
    what JupyterHub puts aside before an upgrade, is none.
    """
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES and STAGE not in path.parts and path.is_file() and not path.is_symlink()
        if _is_sqlite(path)
    ]
    if len({path.name for path in found}) != 1:
        raise Failed(f"{len(found)} databases came back, and a hub has one")
    return max(found, key=lambda path: path.stat().st_ctime_ns)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def names_in(database: Path) -> set[str]:
    """Everybody's name in the database. Raises Failed where it has no such table."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return {str(row[0]) for row in connection.execute("SELECT name FROM users")}
    except sqlite3.Error as error:
        raise Failed(f"the database cannot be read: {error}") from None


def judge(saved: Collection[str], shown: Collection[str], new: str) -> str:
    """What is wrong with the users that the hub shows; empty where they are those of the database, and the new one."""
    lost, more = set(saved) - set(shown), set(shown) - set(saved) - {new}
    if not lost and not more and new in shown:
        return ""
    told = f"{len(lost)} lost, {len(more)} too many"
    return f"the hub shows {len(shown)} users, the database holds {len(saved)}: {told}"


# --- the hub


@contextmanager
def running(config: Path, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The hub as a process of its own, which ends with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(config)],
            cwd=config.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # an answer that leads elsewhere is an answer
        return None


def _opener() -> OpenerDirector:
    return build_opener(HTTPCookieProcessor(CookieJar()), _NoRedirect())


def _ask(opener: OpenerDirector, url: str, form: dict[str, str] | None = None, token: str = "") -> tuple[int, bytes]:
    """Status and content of an answer. Raises OSError where there is none."""
    data = urlencode(form).encode() if form is not None else None
    headers = {"Sec-Fetch-Mode": "navigate", **({"Authorization": f"token {token}"} if token else {})}
    try:
        with opener.open(Request(url, data, headers), timeout=30) as answer:  # noqa: S310  # loopback, made by this file
            return answer.status, answer.read(8 << 20)
    except HTTPError as error:
        return error.code, error.read(1 << 16)


def until_it_answers(base: str, alive: Callable[[], bool], end: float) -> None:
    """Wait for the hub. ``end``: time.monotonic(). Raises Failed."""
    while time.monotonic() < end:
        if not alive():
            raise Failed("the hub ended while it started")
        try:
            if _ask(_opener(), f"{base}/health")[0] == 200:
                return
        except (URLError, OSError):
            pass
        time.sleep(0.2)
    raise Failed("the hub did not answer in time")


def sign_in(base: str, name: str, password: str) -> None:
    """Sign in as people do, by the form. Raises Failed."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar), _NoRedirect())
    status, _ = _ask(opener, f"{base}/login")
    xsrf = next((cookie.value or "" for cookie in jar if cookie.name == "_xsrf"), "")
    if status != 200 or not xsrf:
        raise Failed(f"the hub shows no form to sign in ({status})")
    status, _ = _ask(opener, f"{base}/login", {"username": name, "password": password, "_xsrf": xsrf})
    if status != 302:
        raise Failed(f"nobody could sign in ({status})")
    if (status := _ask(opener, f"{base}/home")[0]) != 200:
        raise Failed(f"who had signed in was shown no page ({status})")


def users(base: str, token: str) -> set[str]:
    """Everybody whom the hub lists. Raises Failed."""
    found: set[str] = set()
    for offset in range(0, 1_000_000, PAGE):
        status, content = _ask(_opener(), f"{base}/api/users?offset={offset}&limit={PAGE}", token=token)
        if status != 200:
            raise Failed(f"the hub does not list its users ({status})")
        page = json.loads(content)
        found |= {str(user["name"]) for user in page}
        if len(page) < PAGE:
            return found
    raise Failed("the hub's list of users has no end")


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def boot(folder: Path, scratch: Path, seconds: float) -> dict[str, Any]:
    """Boot a hub from the database below ``folder``; the answer. Raises Failed, OSError."""
    database = database_in(folder)
    saved = names_in(database)
    known = {
        "name": f"drill-{secrets.token_hex(8)}",
        "password": secrets.token_hex(16),
        "token": secrets.token_hex(16),
        "port": _port(),
        "database": str(database),
    }
    (scratch / "told.json").write_text(json.dumps(known))
    (scratch / "config.py").write_text(CONFIG)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        TOLD: str(scratch / "told.json"),
    }
    base, began = f"http://127.0.0.1:{known['port']}/hub", time.monotonic()
    log = scratch / "hub.log"
    with running(scratch / "config.py", environment, log) as process:
        try:
            until_it_answers(base, lambda: process.poll() is None, began + seconds)
            ready = time.monotonic() - began
            sign_in(base, str(known["name"]), str(known["password"]))
            wrong = judge(saved, users(base, str(known["token"])), str(known["name"]))
        finally:
            sys.stderr.write(log.read_text(errors="replace")[-20_000:])
    if wrong:
        raise Failed(wrong)
    words = f"a hub started from it in {ready:.1f} s, somebody signed in, and its {len(saved)} users are there"
    return {"ok": True, "message": words, "seconds": round(ready, 3), "files": len(saved)}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="pdshub_hub.drill", description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the copy is (default: %(default)s)")
    parser.add_argument("--answer", type=Path, default=ANSWER, help="where the answer goes (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for the start (default: %(default)s)")
    args = parser.parse_args(arguments)
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="pdshub-drill-") as scratch:
        try:
            answer = boot(args.folder, Path(scratch), args.seconds)
        except Failed as error:
            answer = {"ok": False, "reason": "Damaged", "message": str(error)[:LONGEST]}
        except Exception as error:
            answer = {"ok": False, "reason": "Failed", "message": f"{type(error).__name__}: {error}"[:LONGEST]}
    args.answer.write_text(json.dumps(answer))
    return 0 if answer["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
