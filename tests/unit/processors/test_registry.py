import sys

import pytest

from tests.unit.isolation import plugin
from worker.processors import registry
from worker.processors.registry import Registry


class P:
    version = "1"

    def __init__(self, name, *media_types, priority=0):
        self.name, self.media_types, self.priority = name, media_types, priority

    def process(self, reading):
        raise NotImplementedError


def names(registry, media_type):
    return [each.name for each in registry.reading(media_type)]


def test_the_highest_priority_is_asked_first_and_equals_as_they_were_given():
    found = Registry([P("a", "text/*"), P("b", "text/plain", priority=5), P("c", "text/plain"), P("d", "image/*", priority=9)])
    assert names(found, "text/plain") == ["b", "a", "c"]
    assert names(found, "text/html") == ["a"]
    assert names(found, "audio/wav") == []


def test_a_processor_without_media_types_is_asked_for_nothing():
    assert names(Registry([P("a")]), "text/plain") == names(Registry([P("a")]), "") == []


def test_plugins_that_cannot_be_loaded_are_left_out_and_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.syspath_prepend(str(plugin.install(tmp_path)))
    monkeypatch.delitem(sys.modules, "odd_plugin", raising=False)
    assert [each.name for each in registry.installed()] == ["odd"]
    assert [record.getMessage() for record in caplog.records] == [
        "plug-in broken (odd_broken:Any) is left out",
        "plug-in half (odd_plugin:Broken) is left out",
        "plug-in vague (odd_plugin:Vague) is left out",
    ]


@pytest.mark.parametrize("priority", [0, 10])
def test_named_ones_come_before_ours(priority):
    assert names(registry.load([P("mine", "text/plain", priority=priority)]), "text/plain") == ["mine", "text"]
