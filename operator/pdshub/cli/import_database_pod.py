"""What runs beside the volume of a new hub's database: it takes a database in and brings its schema up to date.

Its text is handed to ``python3 -c`` in a pod of the hub's own image; JupyterHub is imported there alone.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sqlite3
import sys
import time


def take(folder: str, replace: bool) -> dict[str, object]:
    """The database from standard input (base64) at its place. Raises what keeps it from getting there."""
    place, new = os.path.join(folder, "jupyterhub.sqlite"), os.path.join(folder, "import.sqlite")
    if os.path.exists(place) and not replace:
        raise SystemExit("there is a database already: --replace-database puts it aside")
    with open(new, "wb") as written:
        while packed := sys.stdin.buffer.read(1 << 20):  # a multiple of four, as base64 is packed; less at the end
            written.write(base64.b64decode(packed))
        written.flush()
        os.fsync(written.fileno())
    from jupyterhub import dbutil

    # alembic prints to the standard output that it inherits: the answer is the last line
    dbutil.upgrade_if_needed(f"sqlite:///{new}", backup=False, log=logging.getLogger("upgrade"))
    opened = sqlite3.connect(new)
    (sound,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
    (users,) = opened.execute("SELECT count(*) FROM users").fetchone()
    (revision,) = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    opened.close()
    if sound != "ok":
        raise SystemExit(f"the database is not sound: {sound}")
    aside = ""
    if os.path.exists(place):
        aside = f"{place}.before-import-{int(time.time())}"
        os.rename(place, aside)
    os.rename(new, place)
    return {"users": users, "revision": revision, "aside": aside}


if __name__ == "__main__":
    print(json.dumps(take(sys.argv[1], sys.argv[2:] == ["replace"])))
