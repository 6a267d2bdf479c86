"""The ELF reader over every ELF file of this machine: equal to pyelftools, and calm when they are damaged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.common.exceptions import ELFError

from hpcbake.elf import ELF_MAGIC, FileWindow, find_elf_facts
from tests.elf_oracle import oracle_facts
from tests.unit.elf.test_reader import MACHINES, TYPES

#: Where to look; other folders may be named in the environment, with colons.
FOLDERS = os.environ.get("HPCBAKE_TEST_ELF_FOLDERS", "/usr").split(":")
#: What one file may cost, and what Python itself takes before any file is read.
SECONDS, MEMORY, PYTHON = 2, 256 * 2**20, 256 * 2**20


def elf_files() -> Iterator[Path]:
    """Every ELF file below the folders, once."""
    for root in FOLDERS:
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                path = Path(folder) / name
                if path.is_symlink() or not path.is_file():
                    continue
                with path.open("rb") as file:
                    if file.read(4) == ELF_MAGIC:
                        yield path


@pytest.mark.timeout(1800)
def test_every_file_of_this_machine() -> None:
    """Interpreter, needed, soname, paths, versions with weak flags, notes, stack: equal for every file."""
    differing, beyond_it, count = [], [], 0
    for path in elf_files():
        count += 1
        try:
            expected = oracle_facts(path)
        except (ELFError, ValueError) as failure:
            beyond_it.append((path, failure))  # what the oracle itself cannot read proves nothing
            continue
        with path.open("rb") as file:
            facts = find_elf_facts(FileWindow(file, path.stat().st_size))
        assert facts is not None
        seen = {name: getattr(facts, name) for name in expected}
        expected["type"] = TYPES.get(expected["type"])
        expected["machine"] = MACHINES.get(expected["machine"], expected["machine"])
        if "needs" in expected:
            seen["needs"] = tuple((need.library, need.version, need.weak) for need in facts.needs)
        if seen != expected:
            names = [name for name in seen if seen[name] != expected[name]]
            differing.append((path, {name: (seen[name], expected[name]) for name in names}))
    assert count > 100, "this machine has no ELF files to compare with"
    assert not differing
    assert len(beyond_it) <= count // 100, beyond_it


_READ_DAMAGED = """
    import random, resource, sys, time
    from hpcbake.elf import BytesWindow, StreamWindow, OutOfWindowError, find_elf_facts

    def limit(memory):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    limit(int(sys.argv[1]))
    chance, worst = random.Random(int(sys.argv[2])), 0.0
    for path in sys.argv[3:]:
        original = open(path, "rb").read()
        for _ in range(40):
            content = bytearray(original)
            # The tables lie at the ends: most damage goes there.
            for _ in range(chance.randint(1, 12)):
                at = chance.choice([chance.randrange(min(4096, len(content))), chance.randrange(len(content))])
                width = chance.choice([1, 2, 4, 8])
                odd = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1, chance.getrandbits(64)]
                value = chance.choice(odd)
                content[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            content = bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
            started = time.process_time()
            find_elf_facts(BytesWindow(content))
            try:
                window = StreamWindow(len(content))
                for at in range(0, len(content), 65536):
                    window.feed(content[at : at + 65536])
                find_elf_facts(window)
            except OutOfWindowError:
                pass
            worst = max(worst, time.process_time() - started)
    print(worst)
"""


def test_damaged_files_of_this_machine() -> None:
    """Bytes changed, files cut: an answer within 2 s of CPU and 256 MiB, for each and every one.

    The memory is a limit set on the process itself: beyond it, it fails.
    """
    chance = random.Random(4)
    small = [path for path in elf_files() if path.stat().st_size < 2 * 2**20]
    chosen = chance.sample(small, min(60, len(small)))
    argv = [sys.executable, "-c", textwrap.dedent(_READ_DAMAGED), str(PYTHON + MEMORY), "4", *map(str, chosen)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < SECONDS
