"""The sample deployments, and databases as JupyterHub's own program makes them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pdshub.dockerspawner import deployment
from pdshub.dockerspawner.database import Database
from pdshub.dockerspawner.source import Folder

DATA = Path(__file__).parents[2] / "data" / "dockerspawner"
TABLES = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(255) UNIQUE, admin BOOLEAN, created DATETIME,
  last_activity DATETIME, cookie_id VARCHAR(255) NOT NULL UNIQUE, state TEXT, encrypted_auth_state BLOB);
CREATE TABLE groups (id INTEGER PRIMARY KEY, name VARCHAR(255) UNIQUE, properties TEXT);
CREATE TABLE roles (id INTEGER PRIMARY KEY, name VARCHAR(255) UNIQUE, description VARCHAR(1023), scopes TEXT,
  managed_by_auth BOOLEAN DEFAULT 0 NOT NULL);
CREATE TABLE user_group_map (user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  group_id INTEGER NOT NULL REFERENCES groups(id) ON DELETE CASCADE, PRIMARY KEY (user_id, group_id));
CREATE TABLE user_role_map (user_id INTEGER, role_id INTEGER, managed_by_auth BOOLEAN DEFAULT 0 NOT NULL,
  PRIMARY KEY (user_id, role_id));
CREATE TABLE servers (id INTEGER PRIMARY KEY, proto VARCHAR(15), ip VARCHAR(255), port INTEGER, base_url VARCHAR(255),
  cookie_name VARCHAR(255));
CREATE TABLE spawners (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
  server_id INTEGER REFERENCES servers(id) ON DELETE SET NULL, state TEXT, name VARCHAR(255), started DATETIME,
  last_activity DATETIME, user_options TEXT, oauth_client_id VARCHAR(255));
CREATE TABLE services (id INTEGER PRIMARY KEY, name VARCHAR(255) UNIQUE, admin BOOLEAN);
CREATE TABLE api_tokens (id INTEGER PRIMARY KEY, user_id INTEGER, hashed VARCHAR(255) UNIQUE, prefix VARCHAR(16));
CREATE TABLE oauth_clients (id INTEGER PRIMARY KEY, identifier VARCHAR(255) UNIQUE, secret VARCHAR(255));
CREATE TABLE oauth_codes (id INTEGER PRIMARY KEY, user_id INTEGER, code VARCHAR(36));
CREATE TABLE shares (id INTEGER PRIMARY KEY, user_id INTEGER, group_id INTEGER, owner_id INTEGER,
  spawner_id INTEGER REFERENCES spawners(id) ON DELETE CASCADE, scopes TEXT);
CREATE TABLE share_codes (id INTEGER PRIMARY KEY, hashed VARCHAR(255) UNIQUE, spawner_id INTEGER);
"""
REVISION = "4621fec11365"


def make(path: Path, *people: str, admins: tuple[str, ...] = (), native: dict[str, bool] | None = None,
         encrypted: tuple[str, ...] = ()) -> Path:  # fmt: skip
    """A database as a hub with running servers leaves it. ``native``: NativeAuthenticator's table."""
    opened = sqlite3.connect(path)
    opened.executescript(TABLES)
    opened.execute("INSERT INTO alembic_version VALUES (?)", (REVISION,))
    opened.execute("INSERT INTO groups (id, name) VALUES (1, 'orex')")
    opened.execute("INSERT INTO roles (id, name, scopes) VALUES (1, 'user', '[\"self\"]')")
    for number, name in enumerate(people, 1):
        opened.execute(
            "INSERT INTO users VALUES (?, ?, ?, '2024-01-01', '2026-11-01', ?, '{}', ?)",
            (number, name, name in admins, f"cookie-{number}", b"sealed" if name in encrypted else None),
        )
        opened.execute("INSERT INTO servers VALUES (?, 'http', '172.18.0.5', 8888, ?, 'c')", (number, f"/user/{name}/"))
        opened.execute(
            "INSERT INTO spawners VALUES (?, ?, ?, ?, '', '2026-11-01', '2026-11-01', '{}', ?)",
            (number, number, number, '{"object_id": "0123abcd"}', f"jupyterhub-user-{name}"),
        )
        opened.execute("INSERT INTO api_tokens VALUES (?, ?, ?, 'abcd')", (number, number, f"sha512:{number}"))
        opened.execute("INSERT INTO user_role_map VALUES (?, 1, 0)", (number,))
    if people:
        opened.execute("INSERT INTO user_group_map VALUES (1, 1)")
        opened.execute("INSERT INTO shares VALUES (1, NULL, 1, 1, 1, '[]')")
        opened.execute("INSERT INTO oauth_clients VALUES (1, 'service-x', 'hash')")
    if native is not None:
        opened.execute(
            "CREATE TABLE users_info (id INTEGER PRIMARY KEY, username VARCHAR, password BLOB, is_authorized BOOLEAN,"
            " login_email_sent BOOLEAN, email VARCHAR, has_2fa BOOLEAN)"
        )
        for name, authorized in native.items():
            opened.execute(
                "INSERT INTO users_info (username, password, is_authorized, email) VALUES (?, ?, ?, ?)",
                (name, b"$2b$hash-of-a-password", authorized, f"{name.title()}@Example.org"),
            )
    opened.commit()
    opened.close()
    return path


def imported(folder: Path | str, database: Database | None = None, **said: Any) -> deployment.Deployment:
    """What comes of a deployment."""
    root = DATA / folder if isinstance(folder, str) else folder
    return deployment.read(Folder(root), deployment.Wanted(**{"name": "node", "namespace": "hub", **said}), database)


def entries(made: deployment.Deployment, verdict: Any) -> dict[str, str]:
    """Subjects and words of one kind."""
    return {entry.subject: entry.words for entry in made.report.of(verdict)}
