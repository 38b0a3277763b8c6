import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.domain.ids import OwnerId, SourceId
from app.domain.webhook import GIVEN_UP_AFTER, OutboxRecord, callback_secret, secret_bytes, sign

NOW = datetime.now(UTC)
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


def record(**changes):
    told = {"owner": OwnerId("o"), "source_uuid": SourceId("s-1"), "run": 1, "target": "callback", "url": "http://h/", "created_at": NOW, "next_at": NOW}
    return OutboxRecord(**told | changes)


def test_a_message_is_verified_by_the_library_of_its_standard():
    body = json.dumps({"event": "source.succeeded", "text": "ä"}).encode()
    headers = sign(SECRET, record().message_id, datetime.now(UTC), body)  # a receiver takes it for five minutes
    assert Webhook(SECRET).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"o" * 32).decode()).verify(body, headers)


def test_the_message_id_is_that_of_the_end_and_target_however_often_it_is_told():
    assert record().message_id == record(attempts=5).message_id
    others = [record(run=2), record(target="scans"), record(source_uuid=SourceId("s-2")), record(owner=OwnerId("p"))]
    assert len({each.message_id for each in [record(), *others]}) == 5


def test_each_attempt_comes_later_than_the_one_before_and_a_day_is_all():
    each, now, pauses = record(), NOW, []
    while not each.is_given_up(now):
        each = each.failed("status 500", now)
        pauses.append(each.next_at - now)
        now = each.next_at
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=5), timedelta(hours=1))
    assert GIVEN_UP_AFTER <= now - NOW <= GIVEN_UP_AFTER + timedelta(hours=1)
    assert 20 < each.attempts < 40
    assert not each.again(now).is_given_up(now)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_short", "whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_" + base64.b64encode(b"x" * 65).decode()]
)
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(ValueError):
        secret_bytes(secret)


def test_each_organisation_has_a_callback_secret_of_its_own():
    secrets = {callback_secret(key, organisation) for key in ("k" * 32, "l" * 32) for organisation in ("acme", "other")}
    assert len(secrets) == 4
    for secret in secrets:
        secret_bytes(secret)
