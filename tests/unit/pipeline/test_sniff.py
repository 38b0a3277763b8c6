import pytest

from app.domain.errors import ProcessingFailed
from app.domain.results import Artifact
from tests.documents import png
from tests.unit.pipeline.stage import a_context
from worker.pipeline.stages.sniff import Sniff


def sniffed(tmp_path, **changes):
    context = a_context(tmp_path, png(), filename="a.pdf", **changes)
    context.found.artifacts["original"] = Artifact(key="k", size=1, media_type="application/octet-stream", filename="a.pdf")
    Sniff().run(context)
    return context.found


def test_the_bytes_tell_the_type_and_the_name_is_warned_of(tmp_path):
    found = sniffed(tmp_path)
    assert (found.media_type, found.artifacts["original"].media_type) == ("image/png", "image/png")
    assert [warning.code for warning in found.warnings] == ["extension_mismatch"]


@pytest.mark.parametrize("patterns", [("*",), ("image/*",), ("application/pdf", "image/png")])
def test_a_type_that_is_taken_goes_on(patterns, tmp_path):
    assert sniffed(tmp_path, accept_types=patterns).media_type == "image/png"


@pytest.mark.parametrize("patterns", [("application/pdf",), ("image/jpeg", "text/*"), ()])
def test_a_type_that_is_not_taken_ends_the_source(patterns, tmp_path):
    with pytest.raises(ProcessingFailed) as failure:
        sniffed(tmp_path, accept_types=patterns)
    assert failure.value.code == "unsupported_type"


def of_record(tmp_path, types):
    context = a_context(tmp_path, png(), filename="a.png")
    context.record = context.record.model_copy(update={"types": types})
    context.found.artifacts["original"] = Artifact(key="k", size=1, media_type="application/octet-stream", filename="a.png")
    return context


@pytest.mark.parametrize("types", [None, ["image/png"], ["text/plain", "image/*"]])
def test_what_the_acceptance_takes_goes_on(types, tmp_path):
    Sniff().run(of_record(tmp_path, types))


@pytest.mark.parametrize("types", [["application/pdf"], ["none/none"]])
def test_what_the_acceptance_does_not_take_ends_the_source(types, tmp_path):
    with pytest.raises(ProcessingFailed) as failure:
        Sniff().run(of_record(tmp_path, types))
    assert failure.value.code == "unsupported_type"
