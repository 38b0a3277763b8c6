"""The production shape, as far as it can be checked without a container engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from app.adapters.redis.keys import Keyspace
from app.domain.jobs import Lane
from app.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("headrace:")}
RUNNING = {name: service for name, service in SERVICES.items() if name != "bucket"}

REFERENCE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")
# Comments name no variable that must exist.
REFERENCES = {(name, mode) for name, mode, _ in REFERENCE.findall(re.sub(r"(?m)(^|\s)#.*$", "", TEXT))}
CREDENTIAL = re.compile(r"PASSWORD|SECRET|_AUTH\b|_KEYS?(_ID)?\b")


def seconds(duration):
    amount, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(amount) * {"s": 1, "m": 60}[unit]


def environment(service):
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def is_secret(name):
    if name.startswith(PREFIX):
        annotation = Settings.model_fields[name.removeprefix(PREFIX).lower()].annotation
        return SecretStr in (annotation, *getattr(annotation, "__args__", ()))
    return CREDENTIAL.search(name) is not None


def each(services):
    return pytest.mark.parametrize(("name", "service"), services.items(), ids=list(services))


def test_the_file_is_valid_against_the_compose_specification():
    run = subprocess.run(
        [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_hadolint_finds_nothing_in_the_dockerfile():
    run = subprocess.run([TOOLS / "hadolint", ROOT / "deploy/Dockerfile"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_services_are_those_that_the_documents_name():
    assert set(OURS) == {"api", "worker", "worker-fast", "reconciler", "flower", "bucket"}
    assert set(SERVICES) - set(OURS) == {"redis", "store"}


def test_every_setting_exists():
    used = {name for service in SERVICES.values() for name in environment(service) if name.startswith(PREFIX)}
    assert used
    fields = {name.removeprefix(PREFIX).lower() for name in used}
    known = set(Settings.model_fields) | {f"{field}_file" for field in Settings.model_fields}
    assert fields <= known


def test_a_compose_variable_with_the_name_of_a_setting_sets_that_setting():
    for name, _ in REFERENCES:
        if name.startswith(PREFIX):
            assert any(f"${{{name}" in environment(service).get(name, "") for service in OURS.values()), name


@each(SERVICES)
def test_every_container_is_hardened(name, service):
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["user"].partition(":")[0] not in {"", "0", "root"}
    assert any(mount.startswith("/tmp:") and "size=" in mount for mount in service["tmpfs"])


@each(RUNNING)
def test_every_service_is_started_again_and_stops_softly(name, service):
    assert service["restart"] == "always"
    assert seconds(service["stop_grace_period"]) >= 45
    assert service["healthcheck"]["test"]
    assert seconds(service["healthcheck"]["timeout"]) > 0


def test_the_one_shot_ends_before_anyone_uses_the_bucket():
    assert SERVICES["bucket"]["restart"] == "no"
    for name in ("api", "worker", "reconciler"):
        assert SERVICES[name]["depends_on"]["bucket"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["depends_on"]["redis"] == {"condition": "service_healthy"}


@each(SERVICES)
def test_no_secret_has_a_value_or_a_default(name, service):
    for variable, value in environment(service).items():
        if not is_secret(variable):
            continue
        modes = {mode for _, mode, _ in REFERENCE.findall(value)}
        assert modes == {":?"}, variable


def test_no_credential_among_the_variables_has_a_default():
    assert {(name, mode) for name, mode in REFERENCES if CREDENTIAL.search(name) and mode != ":?"} == set()


def test_no_secret_stands_in_a_command_line():
    for service in SERVICES.values():
        words = " ".join([*service.get("entrypoint", []), *service.get("command", [])])
        assert not CREDENTIAL.search(" ".join(name for name, _, _ in REFERENCE.findall(words)))


def test_the_example_names_exactly_the_variables_that_are_read():
    example = (ROOT / ".env.example").read_text()
    required = set(re.findall(r"(?m)^(\w+)=", example))
    optional = dict(re.findall(r"(?m)^#(\w+)=(.*)$", example))
    assert required == {name for name, mode in REFERENCES if mode == ":?"}
    assert re.findall(r"(?m)^\w+=(.+)$", example) == []
    assert optional == {name: default for name, mode, default in REFERENCE.findall(TEXT) if mode == ":-"}
    assert {mode for _, mode in REFERENCES} == {":?", ":-"}


def test_the_worker_can_be_scaled():
    assert not {"container_name", "hostname", "ports", "expose"} & SERVICES["worker"].keys()
    assert SERVICES["worker"]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"


def test_one_worker_is_for_the_fast_lane_alone_and_differs_in_nothing_else():
    worker, fast = SERVICES["worker"], SERVICES["worker-fast"]
    assert {name for name in worker.keys() | fast.keys() if worker.get(name) != fast.get(name)} == {"command"}
    assert fast["command"][fast["command"].index("-Q") + 1] == Lane.FAST.queue
    assert "-Q" not in worker["command"], "it takes from every lane"


def test_only_the_api_and_flower_are_published_and_only_on_the_loopback_address():
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"api", "flower"}
    assert SERVICES["api"]["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8811}:8811"]
    [port] = SERVICES["flower"]["ports"]
    assert port.startswith("127.0.0.1:")


def test_redis_and_the_store_are_reached_on_the_inner_network_only():
    assert COMPOSE["networks"]["inner"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == SERVICES["store"]["networks"] == ["inner"]
    assert all(service.get("network_mode") is None for service in SERVICES.values())


def test_flower_asks_for_a_login_and_changes_nothing():
    flower = SERVICES["flower"]
    assert {"--read-only", "--max-tasks=5000"} <= set(flower["command"])
    assert re.fullmatch(r"\$\{FLOWER_USER:\?[^}]+\}:\$\{FLOWER_PASSWORD:\?[^}]+\}", flower["environment"]["FLOWER_BASIC_AUTH"])
    assert flower["profiles"] == ["ops"]


def test_redis_keeps_its_log_and_evicts_nothing():
    [script] = SERVICES["redis"]["command"]
    for words in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction", "--stream-node-max-bytes 1024"):
        assert words in script


def test_each_kind_of_process_is_a_user_of_its_own_in_redis():
    users = {
        name: re.match(r"redis://(\w+):\$\{REDIS_(\w+)_PASSWORD:", each["environment"]["HEADRACE_REDIS_URL"]).groups()
        for name, each in OURS.items()
        if name != "bucket"
    }
    assert users == {
        name: (kind, kind.upper())
        for name, kind in (("api", "api"), ("worker", "worker"), ("worker-fast", "worker"), ("reconciler", "reconciler"), ("flower", "flower"))
    }
    given = {word.partition(":?")[0] for word in environment(SERVICES["redis"]).values()}
    assert given == {f"${{REDIS_{kind}_PASSWORD" for kind in ("API", "WORKER", "RECONCILER", "FLOWER")}
    assert "./deploy/redis-users.acl:/etc/headrace/redis-users.acl:ro" in SERVICES["redis"]["volumes"]
    assert (ROOT / "deploy/redis-users.acl").is_file()


def test_the_store_syncs_before_it_answers():
    # A new bucket of RustFS is `relaxed` unless both are said.
    assert SERVICES["store"]["environment"]["RUSTFS_DURABILITY_MODE"] == "strict"
    assert SERVICES["store"]["environment"]["RUSTFS_NEW_BUCKET_DURABILITY_MODE"] == "strict"


def test_the_reconcilers_health_is_its_lease():
    assert f"'{Keyspace(Settings().redis_prefix).leader}'" in SERVICES["reconciler"]["healthcheck"]["test"][-1]
    assert "HEADRACE_REDIS_PREFIX" not in environment(SERVICES["reconciler"])


@each(SERVICES)
def test_every_foreign_image_has_a_version(name, service):
    if service not in OURS.values():
        assert re.search(r":\d+\.\d+\.\d+(-\w+)?$", service["image"])


def test_every_volume_and_network_that_is_named_exists():
    assert {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", []) if not volume.startswith("./")} == set(
        COMPOSE["volumes"]
    )
    assert {network for service in SERVICES.values() for network in service["networks"]} == set(COMPOSE["networks"])


class TestDockerfile:
    LINES = re.sub(r"\\\n\s*", "", (ROOT / "deploy/Dockerfile").read_text()).splitlines()

    def test_packages_are_wheels_checked_against_their_hashes(self):
        [install] = [line for line in self.LINES if "install" in line and "run.txt" in line]
        assert "--require-hashes" in install
        assert "--only-binary :all:" in install

    def test_the_image_runs_as_the_user_that_compose_names(self):
        assert [line.split()[1] for line in self.LINES if line.startswith("USER ")][-1] == OURS["api"]["user"]
        assert {service["user"] for service in OURS.values()} == {OURS["api"]["user"]}

    def test_the_base_has_a_tag(self):
        for line in self.LINES:
            if line.startswith("FROM "):
                assert re.match(r"FROM python:3\.11-slim-\w+", line)

    def test_what_it_copies_exists_and_reaches_the_builder(self):
        ignore = (ROOT / ".dockerignore").read_text().splitlines()
        assert "*" in ignore
        let_in = {line[1:] for line in ignore if line.startswith("!")}
        copied = {source for line in self.LINES if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]}
        assert copied == let_in
        assert [source for source in copied if not (ROOT / source).exists()] == []

    def test_what_the_commands_run_is_in_the_image(self):
        modules = {word.partition(".")[0] for service in OURS.values() for word in service["command"] if re.fullmatch(r"(app|worker|deploy)\.\w+", word)}
        assert modules == {"app", "worker", "deploy"}
        assert modules <= {source.partition("/")[0] for line in self.LINES if line.startswith("COPY ") for source in line.split()[1:-1]}
