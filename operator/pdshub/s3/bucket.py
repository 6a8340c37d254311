"""Where a source in S3 is, and the files that its keys are read from. No secret is part of it: keys are read when a
request is signed, so that new ones are taken up."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pdshub.api.s3_source import S3Source

ACCESS_KEY, SECRET_KEY, CA = "access-key-id", "secret-access-key", "ca.crt"
"""Files of a folder of keys: keys of a Secret by their own names, and the certificates of a private CA."""
DEFAULT_REGION = "us-east-1"
"""What requests are signed for where no region is named: other services take it."""


class S3Error(OSError):
    """The service could not be asked, or its answer is none; the text says why, without a secret."""

    def __init__(self, text: str, status: int = 0) -> None:
        """`status`: of HTTP; 0 where there was no answer."""
        super().__init__(errno.EIO, text)
        self.status = status

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Bucket:
    """A folder of a bucket, and who reads it."""

    url: str
    """Of the service, without a slash at the end."""
    name: str
    prefix: str = ""
    """Folder in the bucket without slashes around it; "" is all of it."""
    region: str = DEFAULT_REGION
    in_path: bool = True
    """Whether the bucket stands in the path of a URL, not in its host."""
    keys: Path | None = None
    """Folder with the keys, and the certificates of a private CA."""
    secret: bool = False
    """Whether keys are used, and nothing else: False is the identity of the pod."""

    @classmethod
    def of(cls, source: S3Source, folder: Path) -> Bucket:
        """The bucket of a view's source; `folder`: where its keys are, if it names a Secret, and its CA."""
        return cls(
            source.url,
            source.bucket,
            source.prefix or "",
            source.region or DEFAULT_REGION,
            source.in_path,
            folder if source.secret_ref or source.ca_bundle else None,
            source.secret_ref is not None,
        )

    @property
    def top(self) -> str:
        """What all keys begin with."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def place(self) -> str:
        """For people."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @property
    def authority(self) -> Path | None:
        """Certificates of a private CA, if there are some."""
        found = self.keys / CA if self.keys else None
        return found if found is not None and found.exists() else None

    def address(self, key: str = "") -> str:
        """The URL of the bucket, or of an object in it."""
        path = quote(key, safe="/-_.~")
        if self.in_path:
            return f"{self.url}/{self.name}{f'/{path}' if key else ''}"
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{self.name}.{parts.netloc}{parts.path}/{path}"
