"""Labels that somebody wrote to harm whoever reads them: each kind in any size. Tests read them, `hack/bench labels`
measures them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.unit.archive.archive_support import bundle


class Hostile(NamedTuple):
    """A kind of label. ``make``: about so many bytes of it. ``reads``: whether it is a label that is read to its end
    at 64 KiB, as it is odd, but small."""

    make: Callable[[int], bytes]
    reads: bool = False


GOOD = b'\nOBJECT = VOLUME\nVOLUME_ID = "A_1"\nDATA_SET_ID = "B-V1.0"\n'


def _fill(piece: bytes, size: int, end: bytes = GOOD) -> bytes:
    return piece * (size // len(piece)) + end


PDS3: Mapping[str, Hostile] = {
    "comments that nothing closes": Hostile(lambda n: _fill(b"/*a", n), True),
    "comments that nothing closes, one a line": Hostile(lambda n: _fill(b"/*a\n", n), True),
    "comments": Hostile(lambda n: _fill(b"/**/", n), True),
    "blanks": Hostile(lambda n: _fill(b" ", n), True),
    "a keyword and blanks": Hostile(lambda n: b"A" + _fill(b" ", n), True),
    "one letter": Hostile(lambda n: _fill(b"A", n), True),
    "keywords without values": Hostile(lambda n: _fill(b"A =\n", n), True),
    "sets that nothing closes": Hostile(lambda n: _fill(b"DATA_SET_ID={\n", n)),
    "sets in each other": Hostile(lambda n: _fill(b"DATA_SET_ID={A,\n", n, b"}" + GOOD), True),
    "texts that nothing closes": Hostile(lambda n: _fill(b"VOLUME_ID=\"'\n", n), True),
    "texts that are all one": Hostile(lambda n: _fill(b"VOLUME_VERSION_ID='\n", n), True),
    "a long set": Hostile(lambda n: b"DATA_SET_ID={" + _fill(b"A,", n, b"}" + GOOD), True),
    "many names": Hostile(
        lambda n: b"DATA_SET_ID={" + b",".join(b"A%d" % i for i in range(n // 8)) + b"}" + GOOD, True
    ),
    "long names": Hostile(lambda n: b"DATA_SET_ID={" + b",".join(b"%0250d" % i for i in range(n // 251)) + b"}" + GOOD),
    "zeros": Hostile(lambda n: b"\0" * n),
    "version upon version": Hostile(lambda n: b"DATA_SET_ID=" + _fill(b"-V1", n), True),
}

HEAD = b'<?xml version="1.0"?>'
OPEN, CLOSE = b"<Product_Bundle><a>", b"</a></Product_Bundle>"


def _inside(piece: bytes, size: int) -> bytes:
    return HEAD + OPEN + piece * (size // len(piece)) + CLOSE


PDS4: Mapping[str, Hostile] = {
    "entities in each other": Hostile(
        lambda n: (
            HEAD
            + b"<!DOCTYPE a ["
            + b"".join(b'<!ENTITY e%d "%s">' % (i + 1, b"&e%d;" % i * 10) for i in range(n // 80))
            + b"]>"
            + _inside(b"&e9;", n)[len(HEAD) :]
        )
    ),
    "a long entity": Hostile(lambda n: HEAD + b'<!DOCTYPE a [<!ENTITY e "' + b"x" * n + b'">]>' + OPEN + CLOSE),
    "declared attributes": Hostile(
        lambda n: HEAD + b"<!DOCTYPE a [" + b"<!ATTLIST a b CDATA 'x'>" * (n // 24) + b"]>" + OPEN + CLOSE
    ),
    "another document": Hostile(
        lambda n: HEAD + b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + _inside(b"<a/>", n)[len(HEAD) :]
    ),
    "attributes": Hostile(
        lambda n: HEAD + b"<Product_Bundle " + b" ".join(b'a%d=""' % i for i in range(n // 9)) + b"/>", True
    ),
    "a long attribute": Hostile(lambda n: HEAD + b'<Product_Bundle a="' + b"x" * n + b'"/>', True),
    "a long name": Hostile(lambda n: HEAD + b"<Product_Bundle><" + b"x" * n + b"/></Product_Bundle>", True),
    "a tag that never ends": Hostile(lambda n: HEAD + b"<Product_Bundle a='" + b"x" * n),
    "a comment that never ends": Hostile(lambda n: HEAD + b"<!--" + b"x" * n),
    "an instruction that never ends": Hostile(lambda n: HEAD + b"<?x " + b"x" * n),
    "elements": Hostile(lambda n: _inside(b"<a/>", n), True),
    "elements in each other": Hostile(lambda n: HEAD + b"<a>" * (n // 3)),
    "a long name space over many elements": Hostile(
        lambda n: (
            HEAD + b'<Product_Bundle xmlns="' + b"u" * (n // 2) + b'">' + b"<a/>" * (n // 8) + b"</Product_Bundle>"
        ),
        True,
    ),
    "name spaces": Hostile(
        lambda n: HEAD + b"<Product_Bundle " + b" ".join(b'xmlns:a%d="u"' % i for i in range(n // 16)) + b"/>",
        True,
    ),
    "text": Hostile(lambda n: _inside(b"x\n", n), True),
    "references": Hostile(lambda n: _inside(b"&#65;", n), True),
    "a long identifier": Hostile(
        lambda n: HEAD + b"<Product_Bundle><logical_identifier>" + b"x" * n + b"</logical_identifier></Product_Bundle>"
    ),
    "members": Hostile(
        lambda n: (
            HEAD
            + b"<Product_Bundle>"
            + b"<Bundle_Member_Entry><lid_reference>urn:nasa:pds:a:b</lid_reference></Bundle_Member_Entry>" * (n // 93)
            + b"</Product_Bundle>"
        ),
        True,
    ),
    "instructions": Hostile(lambda n: _inside(b"<?a?>", n), True),
    "zeros behind a label": Hostile(lambda n: bundle("x").encode() + b"\0" * n),
    "the name of a strange encoding": Hostile(lambda n: b'<?xml version="1.0" encoding="' + b"x" * n + b'"?><a/>'),
    "UTF-16": Hostile(lambda n: _inside(b"<a/>", n // 2).decode().encode("utf-16"), True),
}
