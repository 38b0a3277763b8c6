import pytest

from app.adapters.policy_file import BadPolicy, Policy, read
from app.domain.profile import Profile
from app.domain.quota import Quotas

USUAL = Quotas(uploads_per_minute=600, bytes_per_day=1000)


def policy(tmp_path, text):
    file = tmp_path / "policy.toml"
    file.write_text(text)
    return read(file, USUAL)


def test_an_empty_file_says_nothing(tmp_path):
    assert policy(tmp_path, "") == Policy()


def test_profiles_and_quotas_are_read(tmp_path):
    found = policy(
        tmp_path,
        """
        [profiles.scans]
        max-bytes = 50_000_000
        types = ["application/pdf", "image/*"]

        [profiles.default]
        max-bytes = 1000
        chunks = true

        [organisations."Acme Ltd."]
        uploads-per-minute = 6000
        open-sources = 50
        bytes-per-day = 0
        """,
    )
    assert found.profiles == {"default": Profile(1000, chunks=True), "scans": Profile(50_000_000, ("application/pdf", "image/*"))}
    assert found.quotas == {"Acme Ltd.": Quotas(uploads_per_minute=6000, registrations_per_minute=None, bytes_per_day=None, open_sources=50)}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[profiles.a]\nmax = 1", "profiles.a.max"),
        ("[profiles.a]\nmax-bytes = 0", "profiles.a.max-bytes"),
        ("[profiles.a]\nmax-bytes = '1'", "profiles.a.max-bytes"),
        ("[profiles.a]\nchunks = 1", "profiles.a.chunks"),
        ("[profiles.a]\ntypes = ['pdf']", "profiles.a.types.0"),
        ("[profiles.'a b']\n", "profiles.a b"),
        ("[organisations.a]\nuploads-per-minute = -1", "organisations.a.uploads-per-minute"),
        ("[profile.a]\n", "profile"),
        ("nonsense", "policy.toml"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(tmp_path, text, where):
    with pytest.raises(BadPolicy) as refused:
        policy(tmp_path, text)
    assert where in str(refused.value)
