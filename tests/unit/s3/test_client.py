"""The client against a real service (versitygw), and against one that lies."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.s3_source import S3Source
from pdshub.s3 import client as clients
from pdshub.s3 import page
from pdshub.s3.bucket import Bucket, S3Error
from pdshub.s3.client import Client, Count
from tests.buckets import BUCKET, SECRET, Service, service
from tests.unit.s3.test_page import answer


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("s3")) as found:
        yield found


def bucket(s3: Service, folder: Path, **more: Any) -> Bucket:
    source = S3Source.model_validate(s3.source(**more)["s3"])
    return Bucket.of(source, s3.keys(folder / "keys"))


def test_pages_are_read_in_order_and_counted(s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"pages/d{n % 3}/f{n:02}" for n in range(25)] + ["pages/a b+c%41.txt", "pages/ümlaut", "pages/x&y<z"]
    for name in names:
        s3.put(name, name)
    s3.relay.none()
    monkeypatch.setattr(clients, "NAMES", 10)
    client = Client(bucket(s3, tmp_path, prefix="pages"))
    original = client.page
    monkeypatch.setattr(client, "page", lambda prefix, after=b"": original(prefix, after, 10))
    found = list(client.objects())
    assert [one.key.decode() for one in found] == sorted(names)
    assert {one.size for one in found} == {len(name.encode()) for name in names}
    assert s3.relay.asked == {"list": 3} and client.count.lists == 3 and client.count.gets == 0
    rest = list(client.objects(after=found[12].key.decode()))
    assert rest == found[13:], "what broke goes on behind the last key"
    assert len({one.etag for one in found}) == len(found)


@pytest.mark.parametrize("key", ["open/plain.xml", "open/a b+c%41.txt", "open/ümlaut", "open/q?x=1#y", "open/~é'()*"])
def test_an_object_is_read_if_it_is_the_one_that_was_listed(s3: Service, tmp_path: Path, key: str) -> None:
    s3.put(key, "content")
    client = Client(bucket(s3, tmp_path, prefix="open"))
    one = next(one for one in client.objects() if one.key.decode() == key)
    with client.open(key, one.etag, one.size) as stream:
        assert stream.read() == b"content"
    s3.put(key, "another")
    with pytest.raises(FileNotFoundError, match="another object"):
        client.open(key, one.etag, one.size)
    with pytest.raises(FileNotFoundError, match="not there"):
        client.open(key + "x", one.etag, one.size)


def test_what_is_wrong_is_said_without_a_secret(s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PAUSE", 0.01)
    good = bucket(s3, tmp_path)
    s3.keys(tmp_path / "keys", "another secret")
    with pytest.raises(S3Error, match="refuses the keys") as wrong:
        list(Client(good).objects())
    (tmp_path / "keys/secret-access-key").write_text("two\nlines")
    with pytest.raises(S3Error, match="one line") as broken:
        list(Client(good).objects())
    (tmp_path / "keys/access-key-id").unlink()
    with pytest.raises(S3Error, match="has no key access-key-id"):
        list(Client(good).objects())
    with pytest.raises(S3Error, match="no such bucket"):
        list(Client(bucket(s3, tmp_path / "b", bucket="no-such-bucket")).objects())
    with pytest.raises(S3Error, match="does not answer: Connection refused"):
        list(Client(bucket(s3, tmp_path / "c", endpoint="http://127.0.0.1:9")).objects())
    assert not any(word in f"{error.value}" for error in (wrong, broken) for word in ("another secret", "two", SECRET))


def test_keys_that_are_missing_are_not_replaced_by_the_pods_identity(
    s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installation has allowed a Secret for this bucket, and not the identity."""
    asked: list[str] = []
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    monkeypatch.setattr("pdshub.s3.signing.ContainerProvider", lambda: asked.append("identity"))
    good = bucket(s3, tmp_path)
    (tmp_path / "keys/access-key-id").unlink()
    with pytest.raises(S3Error, match="has no key access-key-id"):
        Client(good).page("")
    assert asked == []


def test_a_bound_ends_it(s3: Service, tmp_path: Path) -> None:
    count = Count(limit=2)
    client = Client(bucket(s3, tmp_path), count)
    client.page("")
    client.page("")
    with pytest.raises(S3Error, match="more than 2 requests"):
        client.page("")
    assert count.all == 2


def test_hosts_and_regions() -> None:
    def address(**more: Any) -> str:
        return Bucket.of(S3Source.model_validate({"bucket": BUCKET, **more}), Path("/k")).address("a b/ü")

    aws = {"region": "us-gov-west-1"}
    assert address(**aws) == f"https://{BUCKET}.s3.us-gov-west-1.amazonaws.com/a%20b/%C3%BC"
    assert address(**aws, pathStyle=True) == f"https://s3.us-gov-west-1.amazonaws.com/{BUCKET}/a%20b/%C3%BC"
    assert address(endpoint="https://s3.x:9/") == f"https://s3.x:9/{BUCKET}/a%20b/%C3%BC"
    assert address(endpoint="https://s3.x:9", pathStyle=False) == f"https://{BUCKET}.s3.x:9/a%20b/%C3%BC"


@contextmanager
def lying(said: Callable[[int], bytes], status: int = 200) -> Iterator[tuple[str, list[int]]]:
    """A service that answers request number n with `said(n)`, and the numbers that were asked."""
    asked: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(len(asked))
            self.send_response(status if status != 503 or len(asked) < 3 else 200)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            try:
                self.wfile.write(said(asked[-1]))
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()


@pytest.mark.parametrize(
    ("said", "status", "says", "requests"),
    [
        (lambda n: answer(more="true"), 200, "not in the order", 2),  # the same page for ever
        (lambda n: answer("", more="true"), 200, "has nothing", 1),
        (lambda n: b"<ListBucketResult>" + b" " * (9 << 20), 200, "larger than 8 MiB", 1),
        (lambda n: b"<html>", 200, "no listing", 1),
        (lambda n: b"", 307, "another region", 1),  # and nobody goes where it leads
        (lambda n: b"", 403, "refuses the keys", 1),
    ],
)
def test_a_service_that_lies(
    said: Callable[[int], bytes], status: int, says: str, requests: int, s3: Service, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(clients, "PAUSE", 0.01)
    with lying(said, status) as (url, asked):
        client = Client(bucket(s3, tmp_path, endpoint=url))
        with pytest.raises(S3Error, match=says):
            list(client.objects())
        assert len(asked) == requests == client.count.all


def test_a_service_that_is_busy_is_asked_again(s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PAUSE", 0.01)
    with lying(lambda n: answer(), 503) as (url, asked):
        client = Client(bucket(s3, tmp_path, endpoint=url))
        assert [one.key for one in client.objects()] == [b"a/b c.xml"]
        assert len(asked) == 3 == client.count.all, "every try is a request that is paid for"


def test_a_page_that_drips_has_an_end(s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PAGE_SECONDS", 0.0)
    with pytest.raises(S3Error, match="too long"):
        Client(bucket(s3, tmp_path)).page("")


def test_more_than_the_listing_said_is_not_read(s3: Service, tmp_path: Path) -> None:
    with lying(lambda n: b"x" * 1000) as (url, _):
        client = Client(bucket(s3, tmp_path, endpoint=url))
        with client.open("a", "e", 10) as stream:
            assert stream.read() == b"x" * 10


assert page.NAMES == 1000
