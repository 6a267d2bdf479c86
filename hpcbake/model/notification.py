"""Who is told of runs, and by which addresses. What is secret is named here, never held."""

from __future__ import annotations

from hpcbake.model.late import dataclass

#: What a webhook can ask to be told: a run began; it ended well, or badly; users were given something new;
#: a run ended well after one that had not.
EVENTS = ("started", "succeeded", "failed", "changed", "recovered")

#: What a healthcheck can be sent.
PINGS = ("start", "success", "fail")


@dataclass(frozen=True)
class SecretSource:
    """Where a secret is: in an environment variable, or in a file."""

    env: str | None = None
    file: str | None = None

    @property
    def is_named(self) -> bool:
        return self.env is not None or self.file is not None

    def __str__(self) -> str:
        return f"${self.env}" if self.env is not None else f"file {self.file}" if self.file is not None else "nothing"


@dataclass(frozen=True)
class Address:
    """Where to: an address, or where one is that is itself a secret, as those of chat programs are."""

    url: str = ""
    source: SecretSource = SecretSource()


@dataclass(frozen=True)
class Webhook:
    """An address that is told of `events`. `headers` are names with the sources of their values."""

    name: str
    address: Address
    events: tuple[str, ...] = ("failed", "recovered")
    format: str = "json"
    headers: tuple[tuple[str, SecretSource], ...] = ()
    secret: SecretSource = SecretSource()
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Healthcheck:
    """An address that raises the alarm when it hears nothing."""

    address: Address
    pings: tuple[str, ...] = PINGS
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Notifications:
    """Everybody who is told. `give_up_after_s` bounds all of one moment together, retries included."""

    webhooks: tuple[Webhook, ...] = ()
    healthcheck: Healthcheck | None = None
    give_up_after_s: float = 60.0

    @property
    def is_empty(self) -> bool:
        return not self.webhooks and self.healthcheck is None
