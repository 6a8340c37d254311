"""KubeSpawner that waits until the server answers, and says why it does not.

JupyterHub shows what an exception says of itself (``jupyterhub_message``); KubeSpawner's say *pod did not start in 300
seconds*. Here the pod and its events are looked at before they are gone, and a server that died is not waited for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
from jupyterhub.utils import url_path_join, wait_for_http_server
from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from tornado import web

from pdshub.server_trouble.failures import Evidence, died, explain, leaves, of_event
from pdshub.server_trouble.trouble import Kind, Trouble, logged

LOOK_SECONDS = 0.5
"""Between two looks at the copy of the pods."""
RECOVERING = "pdshub.dev/recovering"
"""Annotation of a home's claim whose content is still to come from a backup (pdshub.wellknown)."""
PLACE = ("namespace", "pod_name", "dns_name")
"""What KubeSpawner keeps of where a server ran."""
BEFORE_THE_HUB = 1.0
"""Seconds by which this gives up before the hub does, which would say nothing but that it took too long."""


class StartFailed(web.HTTPError):
    """A server did not start: ``trouble`` says why. Pages show it, the API answers with its text."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(503, trouble.text)
        self.trouble = trouble
        self.jupyterhub_message = trouble.text


def refusal(error: ApiException) -> str:
    """What the API server said: the message of its ``Status`` object."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason or error)


class PDSHubSpawner(KubeSpawner):  # type: ignore[misc]
    """Starts servers as KubeSpawner does; a failure is a :class:`StartFailed`."""

    def load_state(self, state: dict[str, Any]) -> None:
        """What the database knows of a server, without where it ran if that was another namespace.

        A database that came back from a backup into another namespace names the one of before, in which this hub may do
        nothing: KubeSpawner would look for everybody's server there, for ever.
        """
        if not self.enable_user_namespaces and state.get("namespace", self.namespace) != self.namespace:
            state = {key: value for key, value in state.items() if key not in PLACE}
        super().load_state(state)

    async def poll(self) -> int | None:
        """None while the server runs, else its exit code; 1 as soon as somebody has asked for its pod to be deleted.

        KubeSpawner calls a pod running until it is gone, half a minute later at worst, in which its address may answer
        nothing.
        """
        status: int | None = await super().poll()
        return 1 if status is None and leaves(self._pod()) else status

    def start(self) -> Awaitable[str]:
        """Begin; the result is the server's address, once it answers. Raises StartFailed."""
        # KubeSpawner's progress() ends with this future
        self._start_future = asyncio.ensure_future(self._start_or_say_why())
        return self._start_future

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """KubeSpawner's events for the page that waits, and after one that hinders a sentence that says what does."""
        said = None
        async for event in super().progress():
            yield event
            trouble = of_event(event.get("raw_event") or {})
            if trouble and trouble.kind != said:
                said = trouble.kind
                yield {"message": f"{trouble.why} The hub goes on trying."}

    async def _start_or_say_why(self) -> str:
        told: dict[str, Any] = {}
        try:
            async with asyncio.timeout(max(1.0, self.start_timeout - BEFORE_THE_HUB)):
                url: str = await self._start()
                told["silent"] = True
                await self._until_it_answers(url)
                return url
        except web.HTTPError:
            raise
        except ApiException as error:
            told |= {"refusal": refusal(error), "status": int(error.status or 0)}
            raise self._why_it_failed(error, told) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            told |= {"refusal": str(error), "status": 0}
            raise self._why_it_failed(error, told) from error
        except TimeoutError as error:
            # KubeSpawner's own words where the API server took no object in time
            told |= {"refusal": str(error), "status": 0} if str(error).startswith("Could not create") else {}
            told["timed_out"] = True
            raise self._why_it_failed(error, told) from error
        except Exception as error:
            raise self._why_it_failed(error, told) from error

    async def get_pod_manifest(self) -> Any:
        """The pod. Raises StartFailed where the home in it would be empty, as its content is still to come: by now it
        is known which claim that is."""
        if self.storage_pvc_ensure:
            await self._until_home_is_back()
        return await super().get_pod_manifest()

    async def _until_home_is_back(self) -> None:
        ask = self.api.read_namespaced_persistent_volume_claim(name=self.pvc_name, namespace=self.namespace)
        try:
            claim = await asyncio.wait_for(ask, self.k8s_api_request_timeout)
        except ApiException as error:
            if error.status == 404:
                return
            raise
        if RECOVERING in (claim.metadata.annotations or {}):
            raise StartFailed(Trouble(Kind.HOME_RETURNS))

    def _pod(self) -> dict[str, Any] | None:
        reflector = self.pod_reflector
        found: dict[str, Any] | None = reflector and reflector.pods.get(f"{self.namespace}/{self.pod_name}")
        return found or None

    def _why_it_failed(self, error: Exception, told: dict[str, Any]) -> StartFailed:
        said = str(error) or f"it took more than {self.start_timeout} seconds"
        trouble = explain(Evidence(events=tuple(self.events), pod=self._pod(), error=said, **told))
        self.log.error("%s", logged(self.user.name, trouble))
        return StartFailed(trouble)

    async def _until_it_answers(self, url: str) -> None:
        """Wait for the server's first answer. Raises RuntimeError where its pod ended instead."""
        if self.internal_ssl:
            return  # the hub has the keys, and asks by itself
        address = url_path_join(url, self.server.base_url, "api")
        answer = asyncio.ensure_future(wait_for_http_server(address, timeout=self.start_timeout))
        try:
            while not answer.done():
                await asyncio.wait({answer}, timeout=LOOK_SECONDS)
                if not answer.done() and died(self._pod()):
                    raise RuntimeError("its pod ended")
            answer.result()
        finally:
            answer.cancel()
