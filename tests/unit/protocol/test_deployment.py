import json

import pytest

from app.domain.errors import StoreUnfit, Unavailable
from app.protocol.deployment import claim_store
from tests.unit.doubles import Troubled, contents


def test_a_new_store_is_ours_and_stays_so(store):
    claim_store(store, "prod")
    claim_store(store, "prod")
    assert {key: json.loads(body) for key, body in contents(store).items()} == {"headrace.json": {"layout": 1, "deployment": "prod"}}


def test_a_store_of_another_deployment_is_refused_with_both_names_and_the_setting(store):
    claim_store(store, "prod")
    with pytest.raises(StoreUnfit, match=r"'prod'.*'stage'.*HEADRACE_DEPLOYMENT"):
        claim_store(store, "stage")


@pytest.mark.parametrize("found", [b"{", b"", b'{"deployment": "prod"}', b'{"deployment": "prod", "layout": 2}', b"[]", b'"prod"', b"\xff"])
def test_a_store_whose_mark_we_do_not_understand_is_refused(store, found):
    store.put("headrace.json", found)
    with pytest.raises(StoreUnfit):
        claim_store(store, "prod")


def test_a_store_that_is_away_is_not_called_unfit(store):
    troubled = Troubled(store)
    troubled.reset(refuse_at=1)
    with pytest.raises(Unavailable):
        claim_store(troubled, "prod")
