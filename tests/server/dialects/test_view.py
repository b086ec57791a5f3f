"""What the dialects share."""

from __future__ import annotations

import pytest

from midspan.server.dialects import view
from midspan.server.dialects.view import News
from midspan.tracking.tracker import ProgressRegistry


def test_a_change_is_news_once(registry: ProgressRegistry) -> None:
    tracker, news = registry.create_tracker(), News()
    assert news.is_new(tracker.get_progress_details())
    assert not news.is_new(tracker.get_progress_details())
    tracker.update(message="on")
    assert news.is_new(tracker.get_progress_details())


def test_what_was_told_is_remembered_within_bounds(registry: ProgressRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_TOLD", 2)
    news = News()
    trackers = [registry.create_tracker() for _ in range(5)]
    for tracker in trackers:
        news.is_new(tracker.get_progress_details())
    assert len(news._told) == 2
    for tracker in trackers:
        tracker.complete()
        assert news.is_new(tracker.get_progress_details())
    assert news._told == {}
