"""
What each process is told through its environment.

A service reads variables with its own prefix.  What all of them need comes from ``_common``;
what one of them needs besides stands in ``_OWN`` under its name: extend it there.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deploy.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Simulator:
    """One process of the sandbox: what it serves, each on its own port."""

    name: str
    module: str
    serves: tuple[str, ...]


SIMULATORS: Final = (
    Simulator("alipay", "deploy.sandbox.alipay", ("alipay",)),
    Simulator("wechatpay", "deploy.sandbox.wechatpay", ("wechatpay",)),
    Simulator("bankcard", "deploy.sandbox.card_aggregator", ("bankcard",)),
    Simulator(
        "providers",
        "deploy.sandbox.providers",
        ("esign", "faceid", "sms", "wechat", "jst", "kuaidi100", "payout", "factor", "tsa"),
    ),
)


def present_simulators() -> tuple[Simulator, ...]:
    """Return those that can be run from this source tree."""
    return tuple(one for one in SIMULATORS if find_spec(one.module))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where everything of one run is: addresses by name, files, secrets."""

    directory: Path
    secrets: Secrets
    dsns: Mapping[str, str]
    """By database role."""
    nats_url: str
    services: Mapping[str, str]
    """Base URLs of services."""
    simulators: Mapping[str, str]
    """Base URLs of what the simulators serve."""
    clock_url: str | None
    """Where a test clock is read; None: the machine's clock."""

    @property
    def keys(self) -> Path:
        """Return the directory of the providers' keys."""
        return self.directory / "keys"


def service_environment(service: str, around: Surroundings, *, port: int) -> dict[str, str]:
    """Return the variables of one process of *service* that listens on *port*."""
    told = _common(service, around, port=port) | _OWN.get(service, _nothing)(around)
    return {f"{service.upper()}_{name}": value for name, value in told.items()}


def simulator_environment(simulator: Simulator, around: Surroundings) -> dict[str, str]:
    """Return the variables of *simulator*; where it sends what it has to tell us."""
    del simulator  # all of them may know all of it: they hold nothing of ours
    signing, notify, fulfillment = (
        around.services.get(name, "") for name in ("signing", "notify", "fulfillment")
    )
    aliyun = f"{notify}/webhooks/aliyun/{_webhook_token(around.secrets)}"
    return {
        "SANDBOX_APP_GATEWAY": f"{signing}/webhooks/alipay",
        "SANDBOX_CONTRACT_URL": f"{signing}/webhooks/wechatpay/contracts",
        "SANDBOX_ESIGN_NOTIFY_URL": f"{signing}/webhooks/esign",
        "SANDBOX_SMS_REPORT_URL": f"{aliyun}/sms-report",
        "SANDBOX_SMS_REPLY_URL": f"{aliyun}/sms-up",
        "SANDBOX_WECHAT_EVENT_URL": f"{notify}/webhooks/wechat/messages",
        "SANDBOX_JST_PUSH_URL": f"{fulfillment}/webhooks/jushuitan",
    }


def simulator_arguments(simulator: Simulator, ports: Mapping[str, int]) -> list[str]:
    """Return the arguments that tell *simulator* its ports."""
    if len(simulator.serves) == 1:
        return ["--port", str(ports[simulator.serves[0]])]
    return [
        word
        for name in simulator.serves
        for word in (f"--{name.replace('_', '-')}-port", str(ports[name]))
    ]


def _common(service: str, around: Surroundings, *, port: int) -> dict[str, str]:
    told = {
        "DSN": around.dsns[service],
        "NATS_URL": around.nats_url,
        "NATS_NKEY_SEED": around.secrets.nats_seeds[service],
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": around.services[service],
        "KEYS_DIR": str(around.keys),
        "FIELD_KEYS": f"1:{around.secrets.field_keys[service]}",
        "INDEX_KEY": around.secrets.index_keys[service],
    }
    if around.clock_url is not None:
        told["CLOCK_URL"] = around.clock_url
    return told


def _signing(around: Surroundings) -> dict[str, str]:
    return _urls(around, "alipay", "wechatpay", "bankcard", "esign", "faceid", "tsa") | {
        "NOTIFY_PUBLIC_KEY": around.secrets.sealing_public_keys["notify"],
        "FULFILLMENT_PUBLIC_KEY": around.secrets.sealing_public_keys["fulfillment"],
    }


def _billing(around: Surroundings) -> dict[str, str]:
    return _urls(around, "alipay", "wechatpay", "bankcard")


def _fulfillment(around: Surroundings) -> dict[str, str]:
    return _urls(around, "jst", "kuaidi100") | {
        "PRIVATE_KEY": around.secrets.sealing_private_keys["fulfillment"]
    }


def _wallet(around: Surroundings) -> dict[str, str]:
    return _urls(around, "payout", "factor")


def _notify(around: Surroundings) -> dict[str, str]:
    return _urls(around, "sms", "wechat", "alipay") | {
        "PRIVATE_KEY": around.secrets.sealing_private_keys["notify"],
        "WEBHOOK_TOKEN": _webhook_token(around.secrets),
    }


def _webhook_token(secrets: Secrets) -> str:
    """Return what stands in the addresses called by providers who do not sign; not guessable."""
    key = secrets.index_keys["notify"]
    if len(key) < _REAL_KEY:  # a placeholder of the examples stays one
        return key
    return hmac.new(key.encode(), b"webhook token", hashlib.sha256).hexdigest()[:32]


def _nothing(_: Surroundings) -> dict[str, str]:
    return {}


_OWN: Final[Mapping[str, Callable[[Surroundings], dict[str, str]]]] = {
    "signing": _signing,
    "billing": _billing,
    "wallet": _wallet,
    "fulfillment": _fulfillment,
    "notify": _notify,
}

_REAL_KEY: Final = 32

_URL_NAMES: Final = {"alipay": "ALIPAY_GATEWAY_URL"}
_URL_SUFFIXES: Final = {"alipay": "/gateway.do"}


def _urls(around: Surroundings, *names: str) -> dict[str, str]:
    """Return the address of each provider, as ``WECHATPAY_URL`` and the like."""
    return {
        _URL_NAMES.get(name, f"{name.upper()}_URL"): around.simulators[name]
        + _URL_SUFFIXES.get(name, "")
        for name in names
        if name in around.simulators
    }
