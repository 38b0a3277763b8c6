import pytest

from app.domain.errors import ProcessingFailed
from tests import documents
from tests.unit.pipeline.stage import a_context
from worker.guards.limits import Unpacked
from worker.pipeline.stages.extract import Extract
from worker.pipeline.stages.guard import Guard


def test_an_empty_upload_is_a_failure_of_its_own(tmp_path):
    with pytest.raises(ProcessingFailed, match="File is empty"):
        Guard().run(a_context(tmp_path, b""))


@pytest.mark.parametrize("body", [documents.flate_bomb_pdf(1 << 20), documents.docx(), documents.png(9, 9), b"words", b"PK\x03\x04"])
def test_what_says_nothing_bad_of_itself_passes(tmp_path, body):
    context = a_context(tmp_path, body)
    Guard().run(context)
    assert (context.found.is_unread, context.found.warnings) == (False, [])


@pytest.mark.parametrize("body", [documents.zipped({"a": bytes(20 << 20)}), documents.docx("x" * (20 << 20)), documents.png_bomb()])
def test_a_bomb_is_refused_before_any_parser(tmp_path, body):
    with pytest.raises(ProcessingFailed) as failure:
        Guard().run(a_context(tmp_path, body))
    assert failure.value.code == "bomb"


def test_what_is_merely_large_is_kept_with_a_warning_and_not_read(tmp_path):
    context = a_context(tmp_path, documents.zipped({str(number): b"" for number in range(11)}), unpacked=Unpacked(archive_entries=10))
    Guard().run(context)
    assert [warning.code for warning in context.found.warnings] == ["not_read"]
    Extract().run(context)
    assert context.found.answer.processor is None
    assert not context.told.milestones
