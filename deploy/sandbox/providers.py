"""
The nine simulators that are no rails, in one process: one port, one clock, one book for each.

``python -m deploy.sandbox.providers --keys DIR --books DIR --esign-port P --faceid-port P
--sms-port P --wechat-port P --jst-port P --kuaidi100-port P --payout-port P --factor-port P
--tsa-port P`` and every argument of the single simulators; one without a port is not started.
Each argument may also come from ``SANDBOX_...``.
"""

import argparse
import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deploy.sandbox.aliyun_sms import AliyunSms
from deploy.sandbox.esign import ESign
from deploy.sandbox.faceid import FaceId
from deploy.sandbox.institutions import Factor, PayoutChannel
from deploy.sandbox.jushuitan import Jushuitan
from deploy.sandbox.kit import Options, Sandbox, serve
from deploy.sandbox.kuaidi100 import Kuaidi100
from deploy.sandbox.tsa import Tsa
from deploy.sandbox.wechat_messages import WeChatMessages

SIMULATORS: Final[dict[str, Callable[[Options], Sandbox]]] = {
    "esign": ESign,
    "faceid": FaceId,
    "sms": AliyunSms,
    "wechat": WeChatMessages,
    "jst": Jushuitan,
    "kuaidi100": Kuaidi100,
    "payout": PayoutChannel,
    "factor": Factor,
    "tsa": Tsa,
}
"""By the word that names their port: ``--esign-port``."""

EXTRA: Final = (
    "esign-notify-url",
    "faceid-rule-id",
    "sms-report-url",
    "sms-reply-url",
    "sms-receipt-after-s",
    "sms-open-registry",
    "wechat-event-url",
    "wechat-receipt-after-s",
    "jst-push-url",
    "jst-calls-per-second",
    "jst-calls-per-minute",
    "jst-ships-at-hour",
    "institution-minutes",
)


def sandboxes(arguments: Sequence[str] | None = None) -> list[Sandbox]:
    """Return the simulators that *arguments* (those of the process) ask for."""
    given = _parser().parse_args(arguments)
    return [
        build(_options(given, name))
        for name, build in SIMULATORS.items()
        if getattr(given, f"{name}_port") is not None
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Nine provider simulators in one process.")
    ports = [f"{name}-port" for name in SIMULATORS]
    for name in ("host", "keys", "books", "now", *ports, *EXTRA):
        default = os.environ.get(f"SANDBOX_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--real-time", action="store_true", default=False)
    return parser


def _options(given: argparse.Namespace, name: str) -> Options:
    values: dict[str, Any] = vars(given)
    extra = {key: values[key] for key in (one.replace("-", "_") for one in EXTRA)}
    return Options(
        port=int(values[f"{name}_port"]),
        host=given.host or "127.0.0.1",
        keys=Path(given.keys) if given.keys else None,
        books=Path(given.books) / f"{name}.sqlite" if given.books else None,
        now=datetime.fromisoformat(given.now) if given.now else None,
        real_time=given.real_time,
        extra={key: value for key, value in extra.items() if value is not None},
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(*sandboxes()))
