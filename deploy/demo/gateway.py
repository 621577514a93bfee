"""The mini-program's gateway: an HTTP client of the services, with the keys of one merchant."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import aiohttp

TRIES_FOR_S: Final = 30.0
"""How long a request is repeated, under its Idempotency-Key, while a service is away."""
PAUSE_S: Final = 0.05
STEP_WITHIN_S: Final = 20.0

Doc = dict[str, Any]


class Refused(Exception):
    """A service said no; ``code`` is the stable code of its problem document."""

    def __init__(self, status: int, problem: Doc) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.problem = problem
        super().__init__(f"{status} {self.code}: {problem.get('detail', problem)}")


class Gateway:
    """
    Calls on behalf of one merchant, or of the operator.

    Every POST carries an Idempotency-Key that follows from what it is for, so that a
    repeated call, and a repeated demo, names the same things.
    """

    def __init__(
        self, session: aiohttp.ClientSession, services: Mapping[str, str], key: str
    ) -> None:
        self._session = session
        self._services = services
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, service: str, path: str, **query: str) -> Doc:
        """Return what stands at *path*."""
        answer: Doc = await self._ask("GET", service, path, params=query)
        return answer

    async def pdf(self, service: str, path: str) -> bytes:
        """
        Return the document at *path*.

        Raises:
            ValueError: It is not a PDF.
        """
        raw: bytes = await self._ask("GET", service, path, raw=True)
        if not raw.startswith(b"%PDF-"):
            raise ValueError(f"{path} is not a PDF")
        return raw

    async def post(self, service: str, path: str, body: Doc | None = None, *, key: str) -> Doc:
        """
        Do *body* at *path*, once for each *key*.

        Raises:
            Refused: The service says no.
        """
        answer: Doc = await self._ask("POST", service, path, json=body, key=key)
        return answer

    async def put(self, service: str, path: str, body: Doc) -> Doc:
        """Put *body* at *path*."""
        answer: Doc = await self._ask("PUT", service, path, json=body)
        return answer

    async def until_step(self, application_id: UUID | str, *steps: str) -> Doc:
        """
        Return the application as soon as its next step is one of *steps*.

        Raises:
            TimeoutError: The providers' notifications did not bring it there.
        """
        deadline = time.monotonic() + STEP_WITHIN_S
        while True:
            application = await self.get("signing", f"/v1/applications/{application_id}")
            if application["next_step"] in steps:
                return application
            if time.monotonic() > deadline:
                raise TimeoutError(f"Application {application_id} waits: {application}")
            await asyncio.sleep(PAUSE_S)

    async def _ask(
        self,
        method: str,
        service: str,
        path: str,
        *,
        json: Doc | None = None,
        params: Mapping[str, str] | None = None,
        key: str = "",
        raw: bool = False,
    ) -> Any:
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        deadline = time.monotonic() + TRIES_FOR_S
        while True:
            try:
                async with self._session.request(
                    method,
                    self._services[service] + path,
                    json=json,
                    params=params,
                    headers=headers,
                ) as answer:
                    if answer.ok:
                        if raw:
                            return await answer.read()
                        return await answer.json() if answer.status != 204 else {}  # noqa: PLR2004
                    refused = Refused(answer.status, await _problem(answer))
            except (aiohttp.ClientError, TimeoutError) as error:
                refused = Refused(503, {"code": "away", "detail": repr(error)})
            retry = refused.status >= 500 or refused.code == "idempotency-key-in-flight"  # noqa: PLR2004
            if not retry or time.monotonic() > deadline:
                raise refused
            await asyncio.sleep(PAUSE_S)


async def _problem(answer: aiohttp.ClientResponse) -> Doc:
    try:
        found: Doc = await answer.json(content_type=None)
    except ValueError:
        return {"detail": await answer.text()}
    return found
