"""Repositories: as restic names them, what tells two apart, and which are refused; what a Job is asked."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.backup import HubBackupSpec, HubRestoreSpec
from pdshub.api.backup_repository import Repository
from pdshub.api.hub_backup import Backup, Exclude
from pdshub.installation import Installation
from pdshub.render import backup_request, backup_volume
from pdshub.render.backup_repository import endpoint, key_of, place, refusal
from pdshub.render.keys import backup_key
from pdshub.render.names import Names
from pdshub.wellknown import BACKUP_KEY_SUFFIX

NAMES = Names("ns", "demo")
INSTALLATION = Installation.model_validate(
    {
        "backup": {
            "image": "pdshub:1",
            "allowed": [{"server": "NAS.example.org", "paths": ["/backups", "/srv/b"]}],
            "ranges": ["10.1.0.0/16"],
        },
        "network": {"privateRanges": ["203.0.113.0/24"]},
    }
)
S3 = {"bucket": "bucket", "secretRef": "s3"}
PLACES: list[tuple[dict[str, Any], str, tuple[str, int]]] = [
    ({"s3": S3}, "s3:https://s3.amazonaws.com/bucket/ns/demo", ("s3.amazonaws.com", 443)),
    (
        {"s3": {**S3, "endpoint": "https://s3.example.org:9000/", "prefix": "a/b"}},
        "s3:https://s3.example.org:9000/bucket/a/b",
        ("s3.example.org", 9000),
    ),
    (
        {"s3": {**S3, "endpoint": "https://S3.Example.org:443"}},
        "s3:https://s3.example.org/bucket/ns/demo",
        ("s3.example.org", 443),
    ),
    (
        {"s3": {**S3, "endpoint": "http://[2001:DB8::1]:80/x/"}},
        "s3:http://[2001:db8::1]/x/bucket/ns/demo",
        ("2001:db8::1", 80),
    ),
    ({"rest": {"url": "https://b.example.org/x"}}, "rest:https://b.example.org/x/", ("b.example.org", 443)),
    ({"rest": {"url": "https://b.example.org"}}, "rest:https://b.example.org/", ("b.example.org", 443)),
    (
        {
            "sftp": {
                "host": "b.example.org",
                "port": 2222,
                "user": "me",
                "path": "/srv//x".replace("//", "/"),
                "secretRef": "s",
            }
        },
        "sftp:me@b.example.org:/srv/x",
        ("b.example.org", 2222),
    ),
    ({"nfs": {"server": "nas.example.org", "path": "/backups/x"}}, "/repository", ("", 0)),
    ({"claim": {"name": "vault"}}, "/repository", ("", 0)),
    ({"claim": {"name": "vault", "prefix": "a/b"}}, "/repository/a/b", ("", 0)),
]


@pytest.mark.parametrize(("given", "location", "where"), PLACES)
def test_where(given: dict[str, Any], location: str, where: tuple[str, int]) -> None:
    repository = Repository.model_validate(given)
    assert place(repository, NAMES).location == location and endpoint(repository) == where


SAME = [
    ({"rest": {"url": "https://b.example.org/x/../y//z%2e"}}, {"rest": {"url": "https://b.example.org/y/z."}}, True),
    ({"rest": {"url": "https://b.example.org"}}, {"rest": {"url": "https://b.example.org//"}}, True),
    (
        {"s3": {**S3, "endpoint": "https://s.org/a/./", "prefix": "p"}},
        {"s3": {**S3, "endpoint": "https://s.org/a", "prefix": "p"}},
        True,
    ),
    ({"rest": {"url": "https://B.example.org:443/x/"}}, {"rest": {"url": "https://b.example.org/x"}}, True),
    ({"rest": {"url": "https://b.example.org/x"}}, {"rest": {"url": "https://b.example.org/X"}}, False),
    (
        {"nfs": {"server": "NAS.example.org", "path": "/b/x/"}},
        {"nfs": {"server": "nas.example.org", "path": "/b/x"}},
        True,
    ),
    (
        {"nfs": {"server": "nas.example.org", "path": "/b/x"}},
        {"nfs": {"server": "nas.example.org", "path": "/b/y"}},
        False,
    ),
    (
        {"sftp": {"host": "b.example.org", "user": "ada", "path": "/x", "secretRef": "s"}},
        {"sftp": {"host": "b.example.org", "user": "bela", "path": "/x", "secretRef": "t"}},
        True,
    ),
]


@pytest.mark.parametrize(("one", "two", "same"), SAME)
def test_two_hubs_with_one_place(one: dict[str, Any], two: dict[str, Any], same: bool) -> None:
    found = [place(Repository.model_validate(each), Names(ns, "demo")) for each, ns in ((one, "a"), (two, "b"))]
    assert (found[0].identity == found[1].identity) is same


def test_a_claim_is_its_namespaces_own() -> None:
    given = Repository.model_validate({"claim": {"name": "vault"}})
    assert place(given, Names("a", "demo")).identity != place(given, Names("b", "demo")).identity


REFUSED: list[tuple[str, dict[str, Any], bool, str]] = [
    ("a name", {"rest": {"url": "https://b.example.org/x"}}, False, ""),
    ("plain http", {"rest": {"url": "http://b.example.org/x"}}, False, "PlainHttp"),
    ("plain http, for development", {"rest": {"url": "http://b.example.org/x"}}, True, ""),
    ("plain http to S3", {"s3": {**S3, "endpoint": "http://b.example.org"}}, False, "PlainHttp"),
    ("a public address", {"rest": {"url": "https://1.1.1.1/x"}}, False, ""),
    ("the metadata service", {"s3": {**S3, "endpoint": "https://169.254.169.254"}}, False, "AddressClosed"),
    ("the metadata service in IPv6", {"s3": {**S3, "endpoint": "https://[fd00:ec2::254]"}}, False, "AddressClosed"),
    ("inside of IPv6", {"s3": {**S3, "endpoint": "https://[::ffff:169.254.169.254]"}}, False, "AddressClosed"),
    ("loopback", {"rest": {"url": "https://127.0.0.1/x"}}, False, "AddressClosed"),
    (
        "a pod or a node",
        {"sftp": {"host": "10.96.0.1", "user": "u", "path": "/x", "secretRef": "s"}},
        False,
        "AddressClosed",
    ),
    ("what the installation opens", {"rest": {"url": "https://10.1.2.3/x"}}, False, ""),
    ("the institution's own", {"rest": {"url": "https://203.0.113.7/x"}}, False, "AddressClosed"),
    ("no port", {"rest": {"url": "https://b.example.org:99999/x"}}, False, "InvalidUrl"),
    ("a share", {"nfs": {"server": "nas.example.org", "path": "/backups/x"}}, False, ""),
    ("a share beside", {"nfs": {"server": "nas.example.org", "path": "/backups-of-others"}}, False, "NotAllowed"),
    ("a share above", {"nfs": {"server": "nas.example.org", "path": "/srv"}}, False, "NotAllowed"),
    ("a share elsewhere", {"nfs": {"server": "nas2.example.org", "path": "/backups"}}, False, "NotAllowed"),
]


@pytest.mark.parametrize(("given", "development", "reason"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_which_repositories_are_refused(given: dict[str, Any], development: bool, reason: str) -> None:
    found, words = refusal(Backup.model_validate({"repository": given}), NAMES, INSTALLATION, development)
    assert found == reason and bool(words) is bool(reason)


def test_without_an_image_nothing_is_saved() -> None:
    given = Backup.model_validate({"repository": {"claim": {"name": "vault"}}})
    assert refusal(given, NAMES, Installation(), True)[0] == "NoImage"


def test_archives_are_no_place_for_backups() -> None:
    """What nodes may read is not what hubs may write."""
    archive = {"archive": {"allowed": [{"server": "nas.example.org", "exports": ["/pds"]}]}, "backup": {"image": "x:1"}}
    given = Backup.model_validate({"repository": {"nfs": {"server": "nas.example.org", "path": "/pds"}}})
    assert refusal(given, NAMES, Installation.model_validate(archive), True)[0] == "NotAllowed"


@pytest.mark.parametrize("paths", [[], ["/"], ["x"], ["/a/../b"], ["//"]])
def test_an_installation_allows_directories_and_not_all_of_a_server(paths: list[str]) -> None:
    with pytest.raises(ValueError, match=r"backup\.allowed"):
        Installation.model_validate({"backup": {"allowed": [{"server": "nas.example.org", "paths": paths}]}})


def test_the_servers_of_backups_are_closed_to_users() -> None:
    found = Installation.model_validate({"backup": {"allowed": [{"server": "192.0.2.7", "paths": ["/b"]}]}})
    assert "192.0.2.7/32" in found.private_ranges


def test_the_key_can_be_told_by_its_name() -> None:
    for name in ("demo", "x" * 48):
        names = Names("ns", name)
        assert names.backup_key.endswith(BACKUP_KEY_SUFFIX) and len(names.backup_key) <= 63
        assert backup_key(names)["metadata"]["name"] == names.backup_key
    given = Backup.model_validate(
        {"repository": {"claim": {"name": "v"}}, "key": {"secretRef": {"name": "a", "key": "b"}}}
    )
    assert key_of(given, NAMES) == ("a", "b")
    assert backup_key(NAMES) != backup_key(NAMES), "random"


def test_volumes_of_two_shares_are_two() -> None:
    shares = [
        Repository.model_validate({"nfs": {"server": "nas.example.org", "path": p}}).nfs for p in ("/b/x", "/b/y")
    ]
    one, two = (backup_volume.volume(NAMES, share) for share in shares if share)
    assert one["metadata"]["name"] != two["metadata"]["name"]
    assert all(
        share and backup_volume.is_of(body, NAMES, share) for body, share in zip((one, two), shares, strict=True)
    )
    assert shares[1] and not backup_volume.is_of(one, NAMES, shares[1])
    assert not backup_volume.is_of(one, Names("other", "demo"), shares[0] or shares[1])
    assert {"nosuid", "nodev", "noexec"} <= set(one["spec"]["mountOptions"])


# --- what a Job is asked

BACKUP = Backup.model_validate(
    {"repository": {"claim": {"name": "vault"}}, "uploadLimitKib": 512, "deadlineMinutes": 5}
)
WHERE = place(BACKUP.repository, NAMES)


def test_names_are_left_out_anywhere_and_paths_at_the_top() -> None:
    found = backup_request.excludes(Exclude(environments=True, patterns=["*.tmp", "/scratch", ".cache"]))
    assert {".cache", "__pycache__", "venv", "*.tmp", "/scratch"} <= set(found)
    assert "/.conda/pkgs" in found and "/.local/lib/python*" in found and ".conda/pkgs" not in found
    assert len(found) == len(set(found)), "a pattern that is named twice is one"
    assert backup_request.excludes(Exclude(caches=False)) == []


def test_only_homes_leave_anything_out() -> None:
    spec = HubBackupSpec(hub="demo", keep=True)
    home = backup_request.of_item(BACKUP, WHERE, NAMES, "one", spec, "home/ada@example.org", "InUse")
    assert home.exclude and (home.source, home.item, home.how) == ("home", "home/ada@example.org", "InUse")
    assert (home.upload_limit_kib, home.deadline_seconds, home.keep_always, home.hub) == (512, 300, True, "ns/demo")
    database = backup_request.of_item(BACKUP, WHERE, NAMES, "one", spec, "database", "SQLite")
    assert (database.source, database.exclude, database.larger_than) == ("database", [], "")


@pytest.mark.parametrize("trigger", ["Manual", "Schedule", "PreUpgrade", "Offboard"])
def test_a_backup_before_an_upgrade_is_marked_and_not_kept_for_ever(trigger: str) -> None:
    spec = HubBackupSpec.model_validate({"hub": "demo", "trigger": trigger})
    asked = backup_request.of_item(BACKUP, WHERE, NAMES, "one", spec, "database", "SQLite")
    assert (asked.before_upgrade, asked.keep_always) == (trigger == "PreUpgrade", False)


def test_retention() -> None:
    given = BACKUP.model_validate({**BACKUP.wire(), "retention": {"keepLast": 5, "keepDaily": 0}})
    keep = backup_request.of_forget(given, WHERE, NAMES, "one", 7).keep
    assert (keep.last, keep.daily, keep.weekly, keep.monthly, keep.upgrades) == (5, 0, 8, 12, 7)


def test_what_is_restored() -> None:
    spec = HubRestoreSpec(hub="demo", user="ada", path="a/b.ipynb", as_of="2026-03-01T00:00:00Z")
    found = backup_request.of_restore(BACKUP, WHERE, NAMES, "back", spec)
    assert (found.action, found.item, found.path, found.snapshot) == ("restore", "home/ada", "a/b.ipynb", "latest")
    assert found.as_of == "2026-03-01T00:00:00Z" and not found.in_place
    exact = HubRestoreSpec(hub="demo", user="ada", snapshot="ab" * 32, in_place=True)
    assert backup_request.of_restore(BACKUP, WHERE, NAMES, "back", exact).snapshot == "ab" * 32


@pytest.mark.parametrize(
    "prefix", ["..", "../tmp", "a/../../tmp", ".", "a/./b", ".hidden", "/a", "a/", "a//b", "a b", ""]
)
@pytest.mark.parametrize("kind", [{"claim": {"name": "vault"}}, {"s3": S3}], ids=["claim", "s3"])
def test_a_prefix_leads_nowhere_else_and_has_one_name(kind: dict[str, Any], prefix: str) -> None:
    """Above the mounted claim is what goes with the pod; a place with two names would have two turns."""
    ((name, body),) = kind.items()
    with pytest.raises(ValueError, match="prefix"):
        Repository.model_validate({name: {**body, "prefix": prefix}})
