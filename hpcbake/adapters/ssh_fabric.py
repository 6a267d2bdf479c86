"""A login node reached with fabric: one connection, host keys verified at every hop, a deadline on every step.

Fabric accepts any host key by default, at every hop (fabric#2071). Here each hop gets the keys that the user's
known_hosts files list, and a policy that refuses everything else before a single byte of authentication is sent.
"""

from __future__ import annotations

import base64
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import fabric
import paramiko
from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    NoValidConnectionsError,
    PasswordRequiredException,
    SSHException,
)
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from hpcbake.adapters.feed import Feed, open_feed
from hpcbake.adapters.gate import Call, fed_call, gate_refusal, script_call
from hpcbake.adapters.host_key_errors import host_key_error
from hpcbake.adapters.known_hosts import KnownKey, Standing, find_known_keys, fingerprint, judge_host_key
from hpcbake.adapters.remote_script import parse_answer
from hpcbake.adapters.ssh_config import Hop, resolve_hops
from hpcbake.adapters.ssh_pulse import INTERVAL_S, Pulse
from hpcbake.adapters.ssh_transport import preferred_algorithms, transport_asking_for
from hpcbake.errors import HpcbakeError, SiteTrustError, SiteUnreachableError
from hpcbake.model.ports import Outcome
from hpcbake.model.site import Site

# paramiko's worker thread logs tracebacks of refused connections to stderr; we report them ourselves.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

_CONNECT_ATTEMPTS = 3
_CROWDED_ATTEMPTS = 8
_PIECE = 128 * 1024
#: The largest packet that OpenSSH takes on a channel.
_PACKET = 32 * 1024
#: No answer of ours comes near this.
_MAX_OUTPUT = 64 * 1024 * 1024
#: After the answer's end: how long a silence is the end of the stream, and how far back the end is looked for.
_SILENCE_S = 0.5
_TAIL = 4096


class FabricNode:
    """A Node over fabric and paramiko. Connects at the first script; reconnects after a lost connection."""

    def __init__(self, site: Site, *, pulse_s: float = INTERVAL_S) -> None:
        self.name = site.name
        self._login = site.login
        self._pulse_s = pulse_s
        self._connection: fabric.Connection | None = None
        self.host_key = ""

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        call = script_call(self._login, script, secret_stdin)
        return self._run(call, Feed(call.envelope.content), timeout_s=timeout_s, stall_s=timeout_s)

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        call = fed_call(self._login, script)
        with open_feed(call.envelope.content, source, on_sent) as feed:
            return self._run(call, feed, timeout_s=timeout_s, stall_s=stall_s)

    def _run(self, call: Call, feed: Feed, *, timeout_s: float, stall_s: float) -> Outcome:
        envelope = call.envelope
        transport = self._transport()
        started = time.monotonic()
        try:
            channel = _open_channel(transport, timeout_s=self._login.connect_timeout_s)
            try:
                _exec(channel, call.command, timeout_s=min(self._login.connect_timeout_s, timeout_s))
                with Pulse(transport, interval_s=self._pulse_s) as pulse:
                    stdout, stderr = _exchange(
                        channel, feed, pulse, end=envelope.end_mark, deadline=started + timeout_s, stall_s=stall_s
                    )
            finally:
                channel.close()
        except TimeoutError as error:
            self.close()
            raise SiteUnreachableError(
                f"{self.name}: no answer from {self._login.host} for {time.monotonic() - started:.0f} s",
                remedy="the step may still be running there; run the same command again, it takes up what it finds",
                kind="ssh.timeout",
                retryable=False,
            ) from error
        except (SSHException, OSError, EOFError) as error:
            self.close()
            raise self._lost(str(error) or type(error).__name__) from error
        outcome = parse_answer(envelope.nonce, stdout, stderr, time.monotonic() - started)
        if outcome is None:
            self.close()
            if refusal := gate_refusal(self._login, self.name, stderr):
                raise refusal
            raise self._lost("the remote shell ended without an answer", (stderr or stdout)[-2000:])
        return outcome

    def _lost(self, why: str, seen: bytes = b"") -> SiteUnreachableError:
        evidence = {"output": seen.decode("utf-8", "backslashreplace").strip()} if seen.strip() else {}
        return SiteUnreachableError(
            f"{self.name}: the connection to {self._login.host} broke: {why}",
            remedy="run the same command again: what was done stays done",
            kind="ssh.lost",
            evidence=evidence,
        )

    def close(self) -> None:
        """Close this connection and every hop under it."""
        connection, self._connection = self._connection, None
        while connection is not None:
            # A dead transport may complain while closing; it is gone either way.
            with suppress(Exception):
                connection.close()
            connection = connection.gateway if isinstance(connection.gateway, fabric.Connection) else None

    # ---- connecting ----

    def _transport(self) -> paramiko.Transport:
        if self._connection is None or not self._connection.is_connected:
            self.close()
            for attempt in Retrying(
                reraise=True,
                retry=retry_if_exception(lambda error: isinstance(error, HpcbakeError) and error.retryable),
                wait=wait_random_exponential(multiplier=0.5, max=5),
                stop=_enough,
            ):
                with attempt:
                    self._connect()
        assert self._connection is not None
        transport = self._connection.transport
        assert isinstance(transport, paramiko.Transport)
        return transport

    def _connect(self) -> None:
        connection: fabric.Connection | None = None
        try:
            for hop in resolve_hops(self._login):
                connection = open_hop(hop, connection, self.name, self._login.connect_timeout_s)
                self.host_key = fingerprint(connection.transport.get_remote_server_key().asbytes())
        except HpcbakeError:
            self._connection = connection
            self.close()
            raise
        self._connection = connection


class _Connection(fabric.Connection):  # type: ignore[misc]  # fabric is untyped
    """A fabric connection that does not wait an hour for a jump host that cannot reach the next one."""

    def open_gateway(self) -> paramiko.Channel:
        address = (self.host, int(self.port))
        timeout_s = self.connect_kwargs["channel_timeout"]
        return self.gateway.transport.open_channel("direct-tcpip", address, ("", 0), timeout=timeout_s)


def _agent_key(hop: Hop) -> paramiko.PKey | None:
    """The agent's key for one of this hop's own identities: with IdentitiesOnly no other may be offered."""
    wanted = set()
    for name in hop.identity_files:
        with suppress(OSError, IndexError, ValueError):
            wanted.add(base64.b64decode(Path(f"{name}.pub").read_text(encoding="ascii").split()[1]))
    if not wanted:
        return None
    with suppress(SSHException, OSError):
        return next((key for key in paramiko.Agent().get_keys() if key.asbytes() in wanted), None)
    return None


def _enough(state: RetryCallState) -> bool:
    """A server that takes few logins at a time (MaxStartups) takes ours when others are through: that is waited for."""
    error = state.outcome.exception() if state.outcome else None
    is_crowded = isinstance(error, SiteUnreachableError) and error.kind == "ssh.banner"
    return state.attempt_number >= (_CROWDED_ATTEMPTS if is_crowded else _CONNECT_ATTEMPTS)


def open_hop(hop: Hop, gateway: fabric.Connection | None, site: str, timeout_s: float) -> fabric.Connection:
    """Connect and log in to one hop, through the one before it; its host key is judged before anything is sent."""
    known = find_known_keys(hop)
    connection = _Connection(
        hop.hostname,
        user=hop.user,
        port=hop.port,
        gateway=gateway,
        forward_agent=False,
        connect_timeout=max(1, int(timeout_s)),
        # A Config of its own (they are not safe to share between threads) that reads no file of the user's:
        # what ssh_config says has been asked of ssh itself.
        config=fabric.Config(ssh_config=paramiko.SSHConfig(), lazy=True),
        connect_kwargs={
            "key_filename": list(hop.identity_files),
            "pkey": _agent_key(hop) if hop.identities_only else None,
            "allow_agent": not hop.identities_only,
            "look_for_keys": False,
            "banner_timeout": timeout_s,
            "auth_timeout": timeout_s,
            "channel_timeout": timeout_s,
            "transport_factory": transport_asking_for(preferred_algorithms(known)),
        },
    )
    if gateway is None:
        connection.gateway = None
    connection.client.set_missing_host_key_policy(_Judge(hop, known, site))
    try:
        connection.open()
    except HpcbakeError:
        raise
    except Exception as error:  # noqa: BLE001  (paramiko raises from many trees; each is given its class below)
        with suppress(Exception):
            connection.client.close()
        _raise_connect_failure(error, hop, site)
    transport = connection.transport
    transport.set_keepalive(int(INTERVAL_S))  # between scripts: firewalls forget who is silent
    with suppress(OSError, AttributeError):  # a socket through a jump host has no options
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class _Judge(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko is untyped
    """Refuses every key that known_hosts does not accept. paramiko is given no keys of its own, so all come here."""

    def __init__(self, hop: Hop, known: list[KnownKey], site: str) -> None:
        self._hop, self._known, self._site = hop, known, site

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        certificate = key.public_blob.key_blob if key.public_blob else b""
        judgement = judge_host_key(self._hop, self._known, key.asbytes(), certificate)
        if judgement.standing is not Standing.ACCEPTED:
            raise host_key_error(self._hop, judgement, key.get_name(), key.asbytes(), self._site)


def _raise_connect_failure(error: Exception, hop: Hop, site: str) -> NoReturn:
    where = f"{hop.user}@{hop.address}" + (f" ({hop.alias})" if hop.alias != hop.hostname else "")
    if isinstance(error, PasswordRequiredException):
        raise SiteTrustError(
            f"{site}: the key for {where} has a passphrase and no agent holds it",
            remedy="load it: ssh-add " + (hop.identity_files[0] if hop.identity_files else ""),
            kind="ssh.auth",
        ) from error
    # Without a single key to try paramiko raises no exception of authentication.
    if isinstance(error, AuthenticationException) or "No authentication methods" in str(error):
        tried = ", ".join(hop.identity_files) or "no key file"
        agent = "" if hop.identities_only else " and the keys of the ssh agent"
        raise SiteTrustError(
            f"{site}: {where} refused the login",
            remedy=f"tried {tried}{agent}; check with: {hop.by_hand}",
            kind="ssh.auth",
        ) from error
    raise _unreachable(error, where, site) from error


def _unreachable(error: Exception, where: str, site: str) -> SiteUnreachableError:
    kind, why = "ssh.unreachable", str(error) or type(error).__name__
    if isinstance(error, NoValidConnectionsError | ConnectionRefusedError):
        kind, why = "ssh.refused", "connection refused"
    elif isinstance(error, socket.gaierror):
        kind, why = "ssh.resolve", "the name cannot be resolved"
    elif isinstance(error, TimeoutError) or "Timeout opening channel" in why:
        kind, why = "ssh.timeout", "no answer before the connect deadline"
    elif isinstance(error, ChannelException):
        kind, why = "ssh.refused", "the jump host could not connect to it"
    elif "No existing session" in why:  # paramiko's word for a banner that never came
        why = "it takes the connection and gives no answer"
    elif "banner" in why or isinstance(error, EOFError):
        kind, why = "ssh.banner", "closed before the SSH banner (MaxStartups, or not an SSH server?)"
    return SiteUnreachableError(
        f"{site}: cannot reach {where}: {why}",
        remedy="check the network and the address; run the same command again later",
        kind=kind,
    )


# ---- talking --------------------------------------------------------------------------------------------------------


def _open_channel(transport: paramiko.Transport, *, timeout_s: float) -> paramiko.Channel:
    """A session on the connection. Where the server allows one at a time, the one before may not be gone there yet."""
    for attempt in Retrying(
        reraise=True,
        retry=retry_if_exception_type(ChannelException),
        wait=wait_random_exponential(multiplier=0.05, max=0.5),
        stop=stop_after_attempt(10),
    ):
        with attempt:
            return transport.open_session(timeout=timeout_s)
    raise AssertionError("the last attempt returns or raises")


def _exec(channel: paramiko.Channel, command: str, *, timeout_s: float) -> None:
    """Start the remote shell. Raises TimeoutError when the server does not say that it has: paramiko would wait on."""
    gave_up = threading.Event()

    def give_up() -> None:
        gave_up.set()
        channel.get_transport().close()

    timer = threading.Timer(timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        channel.exec_command(command)
    except (SSHException, EOFError) as error:
        if gave_up.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


def _exchange(
    channel: paramiko.Channel, feed: Feed, pulse: Pulse, *, end: bytes, deadline: float, stall_s: float
) -> tuple[bytes, bytes]:
    """Send the whole feed, read both streams to their ends.

    Raises TimeoutError at the deadline, and earlier when nothing of the feed is taken for `stall_s`.
    A process that the login left in the background may hold the streams open for ever: once the answer's end has come
    a moment of silence is the end. A script that ends is not sent the rest.
    """
    out, err = bytearray(), bytearray()
    sending, pause = True, 0.002
    moved_at = taken_at = time.monotonic()
    channel.settimeout(0.0)
    while True:
        moved = False
        if sending and channel.send_ready():
            sending = _send_some(channel, feed)
            moved, taken_at = True, time.monotonic()
        if channel.recv_ready():
            out += channel.recv(_PIECE)
            moved = True
        if channel.recv_stderr_ready():
            err += channel.recv_stderr(_PIECE)
            moved = True
        now = time.monotonic()
        if not moved and (_is_finished(channel) or (now - moved_at > _SILENCE_S and end in out[-_TAIL:])):
            return bytes(out), bytes(err)
        if now > deadline or (sending and now - taken_at > stall_s):
            raise TimeoutError
        if pulse.is_dead:
            raise SSHException("the server has not answered for a while: the way to it is cut, or it hangs")
        if len(out) + len(err) > _MAX_OUTPUT:
            raise SSHException(f"it printed more than {_MAX_OUTPUT} bytes")
        if moved:
            moved_at, pause = now, 0.002
        else:
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)


def _send_some(channel: paramiko.Channel, feed: Feed) -> bool:
    """Send what the channel takes now; False when there is nothing more to send, or nobody any more who takes it."""
    piece = bytes(feed.rest()[:_PACKET])
    try:
        if piece:
            feed.advance(channel.send(piece))
            return True
        channel.shutdown_write()
    except OSError:  # the other side has closed: its answer, or the lack of one, tells the rest
        pass
    return False


def _is_finished(channel: paramiko.Channel) -> bool:
    """True once nothing more can come: both streams ended, or the connection under the channel is gone."""
    transport = channel.get_transport()
    ended = channel.eof_received or channel.closed or transport is None or not transport.is_active()
    return bool(ended) and not channel.recv_ready() and not channel.recv_stderr_ready()
