import socket

import pytest

from app import settings
from devstack import parts
from devstack.datadir import DataDir, Refused

FREE = {"HEADRACE_PORT": "0", "HEADRACE_FLOWER_PORT": "0", "HEADRACE_METRICS_PORT": "0"}


@pytest.fixture
def plan(tmp_path):
    """Makes a plan from an environment. Its sockets are closed at the end."""
    made = []

    def make(**environ):
        environ = {**FREE, **environ}
        with DataDir(tmp_path / "data") as data:
            made.append(parts.plan(settings.load(environ), data, environ))
        return made[-1]

    yield make
    for each in made:
        each.listening.close()


def every(plan):
    return {command.name: command for group in plan.groups for command in group}


def test_redis_comes_first_and_all_the_rest_at_once(plan):
    made = plan(HEADRACE_WORKERS="3", HEADRACE_API_PROCESSES="2")
    assert [[command.name for command in group] for group in made.groups] == [
        ["redis"],
        ["api1", "api2", "worker1", "worker2", "worker3", "reconciler", "flower"],
    ]


def test_with_a_redis_of_ones_own_none_is_started(plan, tmp_path):
    made = plan(HEADRACE_REDIS_URL="redis://:pwd-42@10.0.0.1:6380/2")
    assert "redis" not in every(made)
    assert every(made)["api1"].environ["HEADRACE_REDIS_URL"] == "redis://:pwd-42@10.0.0.1:6380/2"
    assert "redis://10.0.0.1:6380/2" in made.table[0]
    assert "pwd-42" not in "".join(made.table)


def test_children_get_whole_settings_that_load(plan, tmp_path):
    made = plan(HEADRACE_LOG_LEVEL="debug")
    for command in made.groups[1]:
        got = settings.load(command.environ)
        assert got.log_level == "debug"
        assert got.storage_url == (tmp_path / "data" / "store").as_uri()
        assert got.cors_origins == ["localhost"]
        assert got.data_dir == tmp_path / "data"
        assert got.dev_key.get_secret_value() == made.api_key
        assert made.base_url == f"http://127.0.0.1:{got.port}"
        assert len(got.secrets[0]) >= 32
        assert got.redis_url.get_secret_value().startswith("redis://:")


def test_what_is_set_is_not_made(plan, tmp_path):
    secret = "s" * 32
    (tmp_path / "key").write_text("hr_mine\n")
    made = plan(
        HEADRACE_DEV_KEY_FILE=str(tmp_path / "key"),
        HEADRACE_SECRET_KEYS=secret,
        HEADRACE_STORAGE_URL="s3://name/prefix",
        HEADRACE_CORS_ORIGINS="https://a.example",
    )
    got = settings.load(every(made)["worker1"].environ)
    assert made.api_key == "hr_mine"
    assert "HEADRACE_DEV_KEY_FILE" not in every(made)["worker1"].environ
    assert (got.dev_key.get_secret_value(), got.secrets, got.storage_url, got.cors_origins) == ("hr_mine", [secret], "s3://name/prefix", ["https://a.example"])
    assert not (tmp_path / "data" / "secrets" / "dev_key").exists()


def test_the_same_data_gives_the_same_secrets_and_the_same_redis(plan):
    first, second = plan(), plan()
    assert first.api_key == second.api_key
    assert first.api_key.startswith("hr_dev_")
    for name in ("HEADRACE_SECRET_KEYS", "HEADRACE_REDIS_URL"):
        assert every(first)["api1"].environ[name] == every(second)["api1"].environ[name]


def test_no_secret_stands_on_a_command_line(plan, tmp_path):
    made = plan()
    secrets = [file.read_text().strip() for file in (tmp_path / "data" / "secrets").iterdir()]
    assert len(secrets) == 4
    for command in every(made).values():
        assert not any(secret in argument for secret in secrets for argument in command.argv)


def test_flower_is_read_only_and_wants_a_login(plan, tmp_path):
    flower = every(plan(FLOWER_READ_ONLY="false"))["flower"]
    password = (tmp_path / "data" / "secrets" / "flower_password").read_text().strip()
    assert {"--read-only", "--address=127.0.0.1", "--max-tasks=5000", "--purge-offline-workers=60"} <= set(flower.argv)
    assert {name: value for name, value in flower.environ.items() if name.startswith("FLOWER_")} == {"FLOWER_BASIC_AUTH": f"headrace:{password}"}


def test_workers_stop_softly_and_no_two_have_one_name(plan):
    made = plan(HEADRACE_WORKERS="2")
    workers = [every(made)["worker1"], every(made)["worker2"]]
    assert all(worker.environ["REMAP_SIGTERM"] == "SIGQUIT" for worker in workers)
    assert len({worker.argv[worker.argv.index("-n") + 1] for worker in workers}) == 2


@pytest.mark.parametrize(("workers", "lanes"), [("1", ["all"]), ("2", ["fast", "all"]), ("4", ["fast", "all", "all", "all"])])
def test_one_of_several_workers_is_for_the_fast_lane_alone(plan, workers, lanes):
    made = every(plan(HEADRACE_WORKERS=workers))
    named = {"fast": "headrace.fast", "all": "headrace.fast,headrace.slow,headrace.bulk"}
    taken = [made[name].argv[made[name].argv.index("-Q") + 1] for name in sorted(made) if name.startswith("worker")]
    assert taken == [named[lane] for lane in lanes]


def test_api_processes_share_the_socket_and_not_the_metrics_port(plan):
    made = plan(HEADRACE_API_PROCESSES="2")
    api1, api2 = every(made)["api1"], every(made)["api2"]
    assert api1.fds == api2.fds == (made.listening.fileno(),)
    assert api1.argv[-2:] == ("--fd", str(made.listening.fileno()))
    assert api1.environ["HEADRACE_METRICS_PORT"] != api2.environ["HEADRACE_METRICS_PORT"]


@pytest.mark.parametrize("name", ["HEADRACE_PORT", "HEADRACE_FLOWER_PORT", "HEADRACE_METRICS_PORT"])
def test_a_taken_port_is_named(plan, name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(Refused, match=f"^{name}: port {server.getsockname()[1]} on 127.0.0.1 is taken"):
            plan(**{name: str(server.getsockname()[1])})


def test_a_storage_address_that_is_none_is_refused_before_anything_starts(plan):
    with pytest.raises(Refused, match="^HEADRACE_STORAGE_URL: "):
        plan(HEADRACE_STORAGE_URL="bucket/prefix")
