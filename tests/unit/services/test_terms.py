import pytest

from app.domain.errors import Forbidden, InvalidRequest
from app.domain.profile import Profile
from app.services.principal import Principal
from app.services.terms import Terms, terms
from tests.unit.domain.test_upload_token import token
from tests.unit.doubles import ADA

PROFILES = {"default": Profile(), "scans": Profile(max_bytes=100, types=("image/*",))}


def asked(profile=None, **limits):
    given = token(**limits) if limits else None
    return terms(Principal(ADA, "acme", token=given), profile, PROFILES, max_bytes=1000)


def test_without_a_word_the_deployments_limits_hold():
    assert asked() == Terms(max_bytes=1000)


def test_the_least_limit_counts():
    assert asked("scans").max_bytes == 100
    assert asked("scans", max_bytes=7).max_bytes == 7
    assert asked("scans", max_bytes=700).max_bytes == 100
    assert asked(max_bytes=7000).max_bytes == 1000


def test_types_of_profile_and_token_must_both_be_kept():
    assert asked("scans", types=("image/png", "text/plain")).types == ("image/png",)


def test_a_profile_that_there_is_not_is_refused_by_name():
    with pytest.raises(InvalidRequest, match=r"default, scans") as refused:
        asked("absent")
    assert refused.value.code == "unknown_profile"


def test_a_token_of_a_profile_is_for_no_other():
    assert asked(profile=None) == Terms(max_bytes=1000)
    given = Principal(ADA, "acme", token=token(profile="scans"))
    assert terms(given, None, PROFILES, max_bytes=1000).profile == terms(given, "scans", PROFILES, max_bytes=1000).profile == "scans"
    with pytest.raises(Forbidden):
        terms(given, "default", PROFILES, max_bytes=1000)
