from hypothesis import given
from hypothesis import strategies as st

from app.domain.stages import BEGINS_AT, Stage, overall

ORDER = list(Stage)


@given(st.sampled_from(ORDER), st.integers(-50, 200))
def test_progress_is_0_to_100_and_within_its_stage(stage, percent):
    later = ORDER[ORDER.index(stage) + 1 :]
    assert BEGINS_AT[stage] <= overall(stage, percent) <= (BEGINS_AT[later[0]] if later else 100)


def test_progress_never_goes_back_over_the_whole_run():
    whole = [overall(stage, percent) for stage in ORDER for percent in range(101)]
    assert whole == sorted(whole)
    assert (whole[0], whole[-1]) == (0, 100)


def test_every_stage_has_its_share():
    assert list(BEGINS_AT) == ORDER
