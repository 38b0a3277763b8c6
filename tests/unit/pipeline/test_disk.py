import errno

import pytest

from app.domain.errors import Unavailable
from worker.pipeline import disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_outage_and_no_failure_of_the_source(number):
    with pytest.raises(Unavailable) as refused, disk.refusals():
        raise OSError(number, "No space left on device")
    assert refused.value.code == "scratch_full"


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("no")])
def test_every_other_error_stays_what_it_is(error):
    with pytest.raises(type(error)) as raised, disk.refusals():
        raise error
    assert raised.value is error
