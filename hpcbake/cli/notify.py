"""Tells whoever the project names that a run begins, and how it ended. A run does not fail because nobody listened."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hpcbake import __version__
from hpcbake.errors import ExitCode
from hpcbake.model.notification import Healthcheck, Notifications, Webhook
from hpcbake.report.notice import end_document, events_of, start_document
from hpcbake.report.printable import printable
from hpcbake.report.records import NotificationRecord, RunRecord, ShipReport

if TYPE_CHECKING:  # loaded when there is somebody to tell
    from hpcbake.adapters.notify import Delivery, Message

#: Events of a run's end, the one that says most first.
_TELLING = ("recovered", "failed", "changed", "succeeded")
#: Who stops a run does not wait long for others to hear of it.
_INTERRUPTED_PATIENCE_S = 5.0


class Announcer:
    """Tells of one run: `begin` without waiting, `end` at its end. Who could not be told is named on stderr."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._begun: list[Delivery] = []
        self._beginning: threading.Thread | None = None

    @property
    def is_silent(self) -> bool:
        """Is there nobody to tell?"""
        return self._notifications.is_empty

    def begin(self, run: RunRecord) -> None:
        """Tell that the run begins. It goes on at once: an address that hangs delays nothing."""
        found = [
            _message(webhook, "started", start_document(run))
            for webhook in self._notifications.webhooks
            if "started" in webhook.events
        ]
        check = self._notifications.healthcheck
        if check is not None and "start" in check.pings:
            found.append(_ping(check, "start", "/start"))
        if found:
            self._beginning = threading.Thread(target=lambda: self._begun.extend(self._send(found)), daemon=True)
            self._beginning.start()

    def end(self, report: ShipReport, before: ExitCode | None) -> tuple[NotificationRecord, ...]:
        """Tell how the run ended; `before` is how the one before it did. Everybody who was told, and who was not."""
        patience_s = self._notifications.give_up_after_s
        if report.interrupted_code is not None:
            patience_s = min(patience_s, _INTERRUPTED_PATIENCE_S)
        if self._beginning is not None:
            self._beginning.join(patience_s)  # nobody hears of the end before the beginning
        deliveries = [*self._begun, *self._send(_end_messages(self._notifications, report, before), patience_s)]
        for delivery in deliveries:
            if delivery.problem:
                told = f"{delivery.message.to} was not told ({delivery.message.event}): {delivery.problem}"
                click.echo(f"warning: {printable(told)}", err=True)
        return tuple(map(_record, deliveries))

    def _send(self, messages: Sequence[Message], patience_s: float | None = None) -> list[Delivery]:
        if not messages:
            return []
        from hpcbake.adapters.notify import Notifier

        notifier = Notifier(os.environ, user_agent=f"hpcbake/{__version__}")
        return notifier.send(messages, give_up_after_s=patience_s or self._notifications.give_up_after_s)


def _end_messages(notifications: Notifications, report: ShipReport, before: ExitCode | None) -> list[Message]:
    """One message per address, of the event that says most among those it wants."""
    happened = events_of(report, before)
    messages = []
    for webhook in notifications.webhooks:
        told = [event for event in _TELLING if event in happened and event in webhook.events]
        messages += [_message(webhook, told[0], end_document(report, told[0]))] if told else []
    check = notifications.healthcheck
    ping = "success" if report.code is ExitCode.OK else "fail"
    if check is not None and ping in check.pings:
        messages.append(_ping(check, ping, "" if ping == "success" else "/fail"))
    return messages


def _message(webhook: Webhook, event: str, document: Mapping[str, Any]) -> Message:
    body = {"text": document["text"]} if webhook.format == "text" else document
    from hpcbake.adapters.notify import Message

    return Message(
        webhook.name,
        event,
        webhook.address,
        json.dumps(body, ensure_ascii=True).encode("ascii"),
        headers=(
            ("Content-Type", "application/json"),
            ("X-Hpcbake-Event", event),
            ("X-Hpcbake-Delivery", f"{document['run']['id']}-{event}"),
        ),
        secret_headers=webhook.headers,
        secret=webhook.secret,
        timeout_s=webhook.timeout_s,
    )


def _ping(check: Healthcheck, ping: str, path: str) -> Message:
    from hpcbake.adapters.notify import Message

    return Message("healthcheck", ping, check.address, path=path, timeout_s=check.timeout_s)


def _record(delivery: Delivery) -> NotificationRecord:
    message = delivery.message
    return NotificationRecord(message.to, message.event, delivery.attempts, delivery.duration_s, delivery.problem)
