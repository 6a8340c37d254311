"""Whether a container registry answers."""

from __future__ import annotations

import urllib.error
import urllib.request

from .settings import wanted_image_source

REGISTRY = "https://registry-1.docker.io/v2/"
SECONDS = 4.0
KINDEST_NODE = "docker.io/kindest/node:v1.34.0"
"""Of the minor version that is built here where there is no registry."""


def answers(url: str = REGISTRY, seconds: float = SECONDS) -> bool:
    """Whether ``url`` speaks the registry protocol: 401 (sign in first) is an answer, a proxy's 403 isn't."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:  # noqa: S310
            return "Docker-Distribution-Api-Version" in response.headers
    except urllib.error.HTTPError as e:
        return e.code == 401 and "Docker-Distribution-Api-Version" in e.headers
    except (OSError, ValueError):
        return False


def use_registry() -> bool:
    """True: pull public images. False: build everything here. By PDSHUB_IMAGES, else by asking."""
    source = wanted_image_source()
    return source == "registry" or (source == "auto" and answers())
