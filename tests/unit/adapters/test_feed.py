"""What is sent, and what is told of it meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hpcbake.adapters import feed as feeds
from hpcbake.adapters.feed import Feed, open_feed


def send(feed: Feed) -> bytes:
    sent = b""
    while piece := bytes(feed.rest()):
        sent += piece
        feed.advance(len(piece))
    return sent


def test_the_beginning_and_the_end_are_told(tmp_path: Path) -> None:
    """Bytes of the file, without those of the script before it; not every piece."""
    path = tmp_path / "sif"
    path.write_bytes(b"x" * 3_000_000)
    told: list[int] = []
    with open_feed(b"script", path, told.append) as feed:
        assert send(feed) == b"script" + b"x" * 3_000_000
    assert (told[0], told[-1]) == (0, 3_000_000)
    assert len(told) < 6


def test_every_second_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the bytes go."""
    path = tmp_path / "sif"
    path.write_bytes(b"x" * 5 * feeds.PIECE_BYTES)
    clock = iter(range(100, 200))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    told: list[int] = []
    with open_feed(b"script", path, told.append) as feed:
        send(feed)
    assert told == [0, *(number * feeds.PIECE_BYTES for number in range(1, 6)), 5 * feeds.PIECE_BYTES]


def test_a_script_alone_has_nothing_to_tell() -> None:
    """Nobody waits for a script to be sent."""
    told: list[int] = []
    assert send(Feed(b"script", None, told.append)) == b"script"
    assert told == []
