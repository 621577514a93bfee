"""Bare programs as processes of their own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.processes import free_port
from deploy.supervisor import Child, Program


@asynccontextmanager
async def bare_process(
    name: str, module: str, *, logs: Path, environment: Mapping[str, str]
) -> AsyncIterator[str]:
    """Run *module*, told its port as ``BARE_PORT``; yield its base URL when it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = Program(
        name=name,
        kind="service",
        module=module,
        url=url,
        probes=(f"{url}/healthz",),
        environment={**environment, "BARE_PORT": str(port)},
    )
    child = Child(program, logs=logs, restart=False, changed=lambda _: None)
    child.start()
    try:
        await child.ready()
        yield url
    finally:
        await child.abandon()
