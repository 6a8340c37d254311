"""A page of a listing is another machine's: what is none ends as one error, and nothing else."""

from __future__ import annotations

import pytest

from pdshub.s3 import page
from pdshub.s3.bucket import S3Error

ONE = "<Contents><Key>a%2Fb+c.xml</Key><LastModified>2026-01-02T03:04:05.006Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>"  # noqa: E501


def answer(contents: str = ONE, more: str = "false", head: str = "", encoding: str = "url") -> bytes:
    told = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    truncated = f"<IsTruncated>{more}</IsTruncated>"
    return f'{head}<ListBucketResult xmlns="{space}">{truncated}{told}{contents}</ListBucketResult>'.encode()


def test_a_page() -> None:
    found = page.parse(answer(more="true"))
    assert found.more
    (one,) = found.objects
    assert (one.key, one.etag, one.size, one.stored) == (b"a/b c.xml", "e", 7, "STANDARD")
    assert one.mtime == 1767323045_006000000


@pytest.mark.parametrize(
    ("said", "key"),
    [("a%00b", b"a\0b"), ("a%FF", b"a\xff"), ("a%2Bb", b"a+b"), ("a%0Ab", b"a\nb"), ("%2e%2e%2fetc", b"../etc")],
)
def test_keys_are_bytes(said: str, key: bytes) -> None:
    assert page.parse(answer(ONE.replace("a%2Fb+c.xml", said))).objects[0].key == key


def test_a_service_that_does_not_escape_is_not_unescaped() -> None:
    assert page.parse(answer(ONE, encoding="")).objects[0].key == b"a%2Fb+c.xml"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be read"),
        (b"<html></html>", "no listing"),
        (b"\xff\xfe\x00", "cannot be read"),
        (answer()[:-5], "cannot be read"),
        (answer(head='<!DOCTYPE a [<!ENTITY b "c">]>'), "document type"),
        (answer(ONE * 1001), "more than 1000"),
        (answer("<a>" * 20 + "</a>" * 20), "nested"),
        (answer(ONE.replace("a%2Fb", "a" * 5000)), "too long"),
        (answer(ONE.replace("a%2Fb+c.xml", "a" * 1025)), "longer than 1024"),
        (answer(ONE.replace("a%2Fb+c.xml", "")), "empty"),
        (answer(ONE.replace("<Size>7", "<Size>-7")), "without a size"),
        (answer(ONE.replace("<Size>7", "<Size>" + "9" * 40)), "without a size"),
        (answer(ONE.replace("<Size>7", "<Size>٧")), "without a size"),
        (answer(ONE.replace("&quot;e&quot;", "e\x7f")), "ETag"),
        (answer(ONE.replace("&quot;e&quot;", "x\r\nAuthorization: y")), "ETag"),
        (answer(ONE.replace("&quot;e&quot;", "x" * 300)), "ETag"),
        (answer(ONE.replace("2026-01-02", "9999-99-99")), "without a time"),
        (answer(ONE.replace("2026-01-02T03:04:05.006Z", "yesterday")), "without a time"),
        (answer(more="perhaps"), "whether it is whole"),
        (b"<ListBucketResult>" + b"<a/>" * 3 + b"</ListBucketResult>", "whether it is whole"),
    ],
)
def test_what_is_no_page(data: bytes, says: str) -> None:
    with pytest.raises(S3Error, match=says):
        page.parse(data)
