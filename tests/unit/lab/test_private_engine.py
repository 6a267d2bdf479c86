"""The private engine: its configuration, its record, its processes and ports."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.lab.portbridge import serve
from hpcbake.lab.private_engine import (
    engine_folders,
    has_only_loopback_servers,
    is_alive,
    read_record,
    render_daemon_config,
    stop,
)
from hpcbake.lab.processes import end_process, is_process
from hpcbake.lab.progress import Progress
from hpcbake.lab.uplink import Block, Uplink
from tests.unit.lab.machines import FakeMachine, lab_settings

CABLE = Uplink("testlab", Block(ipaddress.IPv4Network("10.217.0.0/16")), 1400)


def test_dockerd_keeps_everything_in_the_labs_folders(tmp_path: Path) -> None:
    """Nothing of the system's Docker is shared; packets are no longer than the way out allows."""
    settings = lab_settings(tmp_path)
    config = json.loads(render_daemon_config(engine_folders(settings), CABLE, settings))
    for key in ("data-root", "exec-root", "pidfile"):
        assert config[key].startswith(str(tmp_path))
    assert config["hosts"] == [f"unix://{settings.state}/engine/docker.sock"]
    assert config["features"] == {"containerd-snapshotter": True}
    assert config["mtu"] == 1400
    assert "dns" not in config
    named = render_daemon_config(engine_folders(settings), CABLE, replace(settings, dns="192.0.2.53"))
    assert json.loads(named)["dns"] == ["192.0.2.53"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 127.0.0.53\noptions edns0\n", True),
        ("nameserver 127.0.0.1\nnameserver ::1\n", True),
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", False),
        ("# nameserver 127.0.0.1\nnameserver 192.0.2.1\n", False),
        ("search example.org\n", False),
        ("", False),
        ("nameserver\n", False),
    ],
)
def test_a_name_server_on_loopback_only_is_noticed(text: str, expected: bool) -> None:
    """From the engine's network it could not be asked."""
    assert has_only_loopback_servers(text) is expected


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_engine_record_is_no_engine(tmp_path: Path, text: str) -> None:
    """Nothing is ended on the word of a file that cannot be read."""
    settings = lab_settings(tmp_path)
    folders = engine_folders(settings)
    folders.run.mkdir(parents=True)
    folders.record.write_text(text)
    assert read_record(folders) == {}
    assert not is_alive(settings)


def test_stop_does_not_touch_a_stranger_with_the_same_number(tmp_path: Path) -> None:
    """After a reboot the noted process id is somebody else's."""
    settings = lab_settings(tmp_path, name="no-such-lab-anywhere")
    folders = engine_folders(settings)
    folders.run.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        folders.record.write_text(
            json.dumps({"engine": stranger.pid, "bridge": stranger.pid, "block": "10.217.0.0/16"})
        )
        stop(FakeMachine(), settings)
        assert stranger.poll() is None
        stranger.kill()
    assert not folders.record.exists()


def test_a_process_is_known_by_words_side_by_side() -> None:
    """A number alone, half a word or words in another order are not enough."""
    program = "import time; print('started', flush=True); time.sleep(60)"
    argv = [sys.executable, "-c", program, "alpha", "beta"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert is_process(process.pid, ["alpha", "beta"])
            assert not is_process(process.pid, ["beta", "alpha"])
            assert not is_process(process.pid, ["alph"])
            assert not is_process(None, ["alpha"])
        finally:
            end_process(process.pid, signal.SIGTERM, patience_s=5)
    assert not is_process(process.pid, ["alpha", "beta"])


def test_progress_says_that_a_long_step_still_goes_on() -> None:
    """The step once, then a sign of life; each with the seconds since the start."""
    times = iter([0.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5])
    lines: list[str] = []
    progress = Progress(lines.append, clock=lambda: next(times))
    with progress.step("building", heartbeat_s=0.05):
        while len(lines) < 3:
            pass
    assert lines[0] == "   1.5 s  building"
    assert lines[1] == "   2.5 s  … still at it: building"


@pytest.fixture
def far_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bridged(far_port: int, talk: object, far_side: object) -> bytes:
    """What `talk` gets through a bridge to `far_side`, which listens on `far_port`."""

    async def scene() -> bytes:
        near = socket.socket()
        near.bind(("127.0.0.1", 0))
        near.listen()
        near.setblocking(False)
        number = near.getsockname()[1]
        reading, writing = os.pipe()
        bridge = asyncio.create_task(serve({far_port: near}, reading))
        server = await asyncio.start_server(far_side, "127.0.0.1", far_port) if far_side else None  # type: ignore[arg-type]
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        try:
            return await asyncio.wait_for(talk(reader, writer), 20)  # type: ignore[operator]
        finally:
            writer.close()
            if server:
                server.close()
            os.close(writing)  # the "engine" ends, and the bridge with it
            await asyncio.wait_for(bridge, 10)
            os.close(reading)

    return asyncio.run(scene())


def test_the_bridge_carries_everything_both_ways_and_the_end_too(far_port: int) -> None:
    """A request of several megabytes, ended by its sender, is answered after its end: ssh and HTTP need both."""
    payload = os.urandom(3_000_000)

    async def far_side(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(-1)
        writer.write(request[::-1])
        await writer.drain()
        writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(payload)
        writer.write_eof()
        return await reader.read(-1)

    assert bridged(far_port, talk, far_side) == payload[::-1]


def test_a_bridge_to_nobody_closes_the_door(far_port: int) -> None:
    """The caller sees the end at once instead of waiting."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        try:
            return await reader.read(-1)
        except ConnectionError:
            return b""

    assert bridged(far_port, talk, None) == b""
