"""The key `notifications` of a project file, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpcbake.errors import ConfigError
from hpcbake.model.notification import EVENTS, PINGS, Address, Healthcheck, Notifications, SecretSource, Webhook


def notifications_of(values: Mapping[str, Any], path: str) -> Notifications:
    """Who is told. Raises ConfigError for an address or a secret that is named twice, or not at all."""
    webhooks = tuple(_webhook(item, path) for item in values.get("webhooks", ()))
    names = [webhook.name for webhook in webhooks]
    for name in names:
        if names.count(name) > 1:
            raise _failure(f"{path}: two webhooks are called {name!r}", "rename one")
    healthcheck = values.get("healthcheck")
    return Notifications(
        webhooks,
        None if healthcheck is None else _healthcheck(healthcheck, path),
        values.get("give_up_after", Notifications.give_up_after_s),
    )


def _webhook(item: Mapping[str, Any], path: str) -> Webhook:
    where = f"{path}: webhook {item['name']!r}"
    events = tuple(item.get("events", Webhook.events))
    if not events:
        raise _failure(f"{where} is told of no event", f"name some: {', '.join(EVENTS)}")
    return Webhook(
        name=item["name"],
        address=_address(item, where),
        events=events,
        format=item.get("format", Webhook.format),
        headers=tuple((entry["name"], _header_source(entry, where)) for entry in item.get("headers", ())),
        secret=_source(item, "secret_", where),
        timeout_s=item.get("timeout", Webhook.timeout_s),
    )


def _healthcheck(item: Mapping[str, Any], path: str) -> Healthcheck:
    where = f"{path}: healthcheck"
    pings = tuple(item.get("pings", PINGS))
    if not pings:
        raise _failure(f"{where} is sent nothing", f"name some pings: {', '.join(PINGS)}")
    return Healthcheck(_address(item, where), pings, item.get("timeout", Healthcheck.timeout_s))


def _header_source(entry: Mapping[str, Any], where: str) -> SecretSource:
    source = _source(entry, "", f"{where}, header {entry['name']}")
    if not source.is_named:
        raise _failure(
            f"{where}, header {entry['name']} has no value", "name where it is: `env: VARIABLE` or `file: PATH`"
        )
    return source


def _address(item: Mapping[str, Any], where: str) -> Address:
    source = _source(item, "url_", where)
    if ("url" in item) == source.is_named:
        problem = "has two addresses" if "url" in item else "has no address"
        raise _failure(f"{where} {problem}", "give one of `url`, `url_env` and `url_file`")
    return Address(item.get("url", ""), source)


def _source(item: Mapping[str, Any], prefix: str, where: str) -> SecretSource:
    env, file = item.get(f"{prefix}env"), item.get(f"{prefix}file")
    if env is not None and file is not None:
        raise _failure(f"{where}: both `{prefix}env` and `{prefix}file` are given", "keep one of the two")
    return SecretSource(env, file)


def _failure(message: str, remedy: str) -> ConfigError:
    return ConfigError(message, remedy=remedy, kind="config.notification")
