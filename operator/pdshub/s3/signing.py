"""Who asks: keys from files or the identity of the pod, and the signature of a request (AWS Signature Version 4).

Both are botocore's. Nothing else of it is used: it takes answers of any size into memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, Credentials
from botocore.exceptions import BotoCoreError

from pdshub.s3.bucket import ACCESS_KEY, SECRET_KEY, Bucket, S3Error

LARGEST = 4096  # bytes of a key


def one_line(folder: Path, name: str) -> str:
    """A key as it stands in its file. Raises S3Error."""
    try:
        with (folder / name).open("rb") as file:
            text = file.read(LARGEST + 1).decode().strip("\r\n")
    except OSError as error:
        raise S3Error(f"key {name} of the source's Secret cannot be read: {error.strerror}") from None
    except ValueError:
        raise S3Error(f"key {name} of the source's Secret is no text") from None
    if not text or not text.isprintable() or len(text) > LARGEST:
        raise S3Error(f"key {name} of the source's Secret must be one line of text")
    return text


class Signer:
    """Signs requests for one bucket."""

    def __init__(self, bucket: Bucket, keys: tuple[str, str] | None = None) -> None:
        """`keys`: key id and secret of somebody who will not be able to read their files. Nothing is read yet."""
        self._bucket, self._keys = bucket, keys
        self._identity: Any = None

    def _credentials(self) -> Any:
        if self._keys is not None:
            return Credentials(*self._keys)
        if self._bucket.secret:  # never the pod's identity instead: the installation allows one or the other
            folder = self._bucket.keys
            if folder is None or not (folder / ACCESS_KEY).exists():
                raise S3Error(f"the source's Secret has no key {ACCESS_KEY}, or is not there")
            return Credentials(one_line(folder, ACCESS_KEY), one_line(folder, SECRET_KEY))
        if self._identity is None:
            try:
                self._identity = ContainerProvider().load()
            except BotoCoreError as error:
                raise S3Error(f"the identity of this pod is not to be had: {type(error).__name__}") from None
        if self._identity is None:
            raise S3Error(
                "this pod has no identity at AWS: associate its service account with a role, or name a Secret"
            )
        return self._identity

    def headers(self, url: str, more: dict[str, str]) -> dict[str, str]:
        """Headers of a GET with its signature. Raises S3Error."""
        request = AWSRequest("GET", url, headers=more)
        try:
            S3SigV4Auth(self._credentials(), "s3", self._bucket.region).add_auth(request)
        except BotoCoreError as error:
            raise S3Error(f"the request cannot be signed: {type(error).__name__}") from None
        return dict(request.headers.items())
