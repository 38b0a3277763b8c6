"""deploy/s3-policy-*.json against the layout. That they are enough is shown by the suites of services, pipeline and sweep, which run with no more."""

import pytest

from app.domain import layout
from tests.s3_policy import ABORT, BUCKET, DELETE, GET, LIST, PARTS, PUT, TRANSFERS, Permitted, Rights

PREFIXES = {value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str) and value.endswith("/")}
SINGLES = {layout.DEPLOYMENT, layout.SWEEP}
ROLES = ("api", "worker")


def resources(role):
    found = set()
    for one in Rights(role).statements:
        found |= {one["Resource"]} if isinstance(one["Resource"], str) else set(one["Resource"])
    return {each.removeprefix(BUCKET).removeprefix("/") for each in found}


def test_every_prefix_of_the_layout_is_known_here():
    assert {"objects/", "inbox/", "sources/", "channels/", "dead/", "webhooks/", "webhooks-dead/", "probe/"} == PREFIXES


def test_a_worker_has_every_prefix_and_nothing_beside_the_layout():
    assert resources("worker") == {"", *(f"{prefix}*" for prefix in PREFIXES), *SINGLES}
    for prefix in PREFIXES:
        assert all(Rights("worker").allows(action, f"{prefix}x") for action in (GET, PUT, DELETE, ABORT, PARTS))
        assert Rights("worker").allows(LIST, prefix)
    assert Rights("worker").allows(TRANSFERS, "")


def test_the_api_has_less():
    rights = Rights("api")
    assert resources("api") == resources("worker") - {layout.SWEEP}
    assert not rights.allows(GET, "channels/w/o/s")
    assert not rights.allows(LIST, layout.OBJECTS)
    assert not rights.allows(TRANSFERS, "")
    assert not rights.allows(PUT, layout.SWEEP)


@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_of_the_layout_is_refused(role):
    rights = Rights(role)
    for key in ("", "other", "other/key", "objectsx", "Objects/x", "headrace.json.bak"):
        assert not any(rights.allows(action, key) for action in (GET, PUT, DELETE, ABORT, PARTS))
    for prefix in ("", "other/", "objects"):
        assert not rights.allows(LIST, prefix)
    for single in SINGLES:
        assert not rights.allows(DELETE, single)


@pytest.mark.parametrize("role", ROLES)
def test_only_actions_on_objects_and_their_names_are_granted(role):
    granted = {action for one in Rights(role).statements for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}
    assert granted <= {GET, PUT, DELETE, ABORT, PARTS, LIST, TRANSFERS}
    assert {one["Effect"] for one in Rights(role).statements} == {"Allow"}


def test_what_is_refused_is_said(tmp_path):
    from app.adapters.memory import MemoryObjectStore

    store = Permitted(MemoryObjectStore(), "api")
    store.probe()
    store.put("objects/o/u", b"")
    assert store.names("dead/") == []
    for refused in (lambda: store.get("channels/w/o/s"), lambda: store.names("objects/"), lambda: store.delete(["sweep.json"])):
        with pytest.raises(PermissionError, match="api may not"):
            refused()
