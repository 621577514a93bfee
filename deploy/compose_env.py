"""
Secrets and settings for ``deploy/compose.yaml``; ``python -m deploy.compose_env`` writes them.

Into ``var/compose``: one env file per service, the prepare job's, the database's password, the
NATS configuration with every user's public key, and the sandbox's keys.  What stands already is
kept, so that running it again only adds what is new.
"""

import argparse
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deploy.environment import (
    Simulator,
    Surroundings,
    present_simulators,
    service_environment,
    simulator_environment,
)
from deploy.nats.accounts import BOOTSTRAP, authorization
from deploy.schemas import AUDITOR
from deploy.secrets import Secrets, load_or_make, write_private
from deploy.topology import SERVICES, hears

SERVICE_PORT: Final = 8080
SIMULATOR_PORT: Final = 8081
KEYS_IN_CONTAINER: Final = Path("/run/yuefu/keys")
DATABASE: Final = "yuefu"


def write(directory: Path) -> None:
    """Write everything ``compose.yaml`` reads into *directory*."""
    directory.mkdir(parents=True, exist_ok=True)
    secrets = load_or_make(directory / "secrets.json")
    for name, told in environments(secrets).items():
        write_private(directory / f"{name}.env", _env_text(told).encode())
    write_private(directory / "nats.conf", nats_configuration(secrets).encode())
    (directory / "nats.conf").chmod(0o644)  # public keys only; the server is another user
    _make_keys(directory / "keys")


def write_examples(directory: Path) -> None:
    """Write the same files as ``*.env.example``, with a word in place of each secret."""
    for name, told in environments(_placeholders()).items():
        text = f"# Made by `python -m deploy.compose_env --examples`.\n{_env_text(told)}"
        (directory / f"{name}.env.example").write_text(text, encoding="utf-8")


def environments(secrets: Secrets) -> dict[str, dict[str, str]]:
    """Return the variables of every container, by the name of its env file."""
    around = _surroundings(secrets)
    files = {service: _for_service(service, around) for service in SERVICES} | {
        f"sandbox-{simulator.name}": simulator_environment(simulator, around)
        for simulator in present_simulators()
    }
    return files | {
        "prepare": _for_prepare(secrets, around),
        "postgres": {"POSTGRES_PASSWORD": secrets.superuser_password},
    }


def nats_configuration(secrets: Secrets) -> str:
    """Return the server's configuration; it holds public keys only."""
    users = authorization(secrets.nats_seeds, {name: hears(name) for name in SERVICES})
    return f'port: 4222\nhttp: 8222\njetstream {{ store_dir: "/data" }}\n{users}'


def simulator_ports(simulator: Simulator) -> dict[str, int]:
    """Return the ports on which *simulator*'s container serves."""
    return {name: SIMULATOR_PORT + number for number, name in enumerate(simulator.serves)}


def _surroundings(secrets: Secrets) -> Surroundings:
    return Surroundings(
        directory=Path("/run/yuefu"),
        secrets=secrets,
        dsns={role: _dsn(role, word) for role, word in secrets.passwords.items()},
        nats_url="nats://nats:4222",
        services={name: f"http://{name}:{SERVICE_PORT}" for name in SERVICES},
        simulators={
            name: f"http://{simulator.name}:{port}"
            for simulator in present_simulators()
            for name, port in simulator_ports(simulator).items()
        },
        clock_url=None,
    )


def _for_service(service: str, around: Surroundings) -> dict[str, str]:
    prefix = service.upper()
    return service_environment(service, around, port=SERVICE_PORT) | {
        f"{prefix}_HOST": "0.0.0.0",  # noqa: S104 - the containers' own network
        f"{prefix}_KEYS_DIR": str(KEYS_IN_CONTAINER),
    }


def _for_prepare(secrets: Secrets, around: Surroundings) -> dict[str, str]:
    return {
        "ADMIN_DSN": _dsn("postgres", secrets.superuser_password),
        "NATS_URL": around.nats_url,
        "BOOTSTRAP_NATS_NKEY_SEED": secrets.nats_seeds[BOOTSTRAP],
        "OPERATOR_KEY": secrets.operator_key,
        "AUDIT_DSN": around.dsns[AUDITOR],
    } | {f"{name.upper()}_DSN": around.dsns[name] for name in SERVICES}


def _dsn(role: str, password: str) -> str:
    return f"postgresql://{role}:{quote(password, safe='')}@postgres:5432/{DATABASE}"


def _env_text(told: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in sorted(told.items()))


def _placeholders() -> Secrets:
    words = dict.fromkeys((*SERVICES, AUDITOR, BOOTSTRAP), "change-me")
    return Secrets(
        passwords=dict.fromkeys((*SERVICES, AUDITOR), "change-me"),
        nats_seeds=words,
        sealing_private_keys=words,
        sealing_public_keys=words,
        field_keys=words,
        index_keys=words,
        operator_key="change-me",
        superuser_password="change-me",  # noqa: S106 - it says what to do with it
    )


def _make_keys(directory: Path) -> None:
    if not present_simulators():
        directory.mkdir(exist_ok=True)
        return
    from deploy.sandbox import keys

    keys.make(directory)
    for file in directory.iterdir():
        file.chmod(0o644)  # the containers' user is another one, and these open simulators only


def main() -> None:
    """Write the files and say what to do next."""
    parser = argparse.ArgumentParser(description="Prepare deploy/compose.yaml.")
    parser.add_argument("directory", type=Path, nargs="?", default=Path("var/compose"))
    parser.add_argument("--fresh", action="store_true", help="forget all secrets first")
    parser.add_argument("--examples", action="store_true", help="write deploy/env instead")
    given = parser.parse_args()
    if given.examples:
        write_examples(Path(__file__).with_name("env"))
        return
    if given.fresh:
        shutil.rmtree(given.directory, ignore_errors=True)
    write(given.directory)
    print(f"{given.directory} is ready: docker compose -f deploy/compose.yaml up --build")


if __name__ == "__main__":
    main()
