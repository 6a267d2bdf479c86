"""Six nights with a fault in each, drawn by a seed; `python benchmarks/thirty_nights.py` spends thirty."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nights import Nights, check_end, choose_faults, make_nights, own_disk, spend_nights
from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

_SEED = 20


@pytest.fixture
def nights(lab: RunningLab, tmp_path: Path) -> Iterator[Nights]:
    with own_disk(tmp_path / "state", 4096):
        made = make_nights(lab, tmp_path, _SEED)
        yield made
        made.wipe()


def test_six_nights_with_a_fault_in_each_end_well(nights: Nights) -> None:
    """Whatever went wrong in them: every site ends on a tested digest, nothing grows, nobody does anything by hand."""
    faults = ["nothing", *choose_faults(5, random.Random(_SEED))]
    results = spend_nights(nights, faults, print)
    assert any(result.code for result in results), "not one fault was felt"
    check_end(nights)
