"""The AsyncAPI 3.0 document of what a service says and hears."""

from collections.abc import Iterable, Sequence
from typing import Any

from shared.events import Event


def document(
    service: str, *, says: Sequence[type[Event]], hears: Sequence[type[Event]]
) -> dict[str, Any]:
    """Return the document: a channel per subject, an operation per direction, JSON Schemas."""
    events = sorted({*says, *hears}, key=lambda event: event.subject)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"yuefu {service}",
            "version": "1",
            "description": "CloudEvents 1.0, binary mode: attributes in NATS headers `ce-*`, "
            "data as JSON in the body, `Nats-Msg-Id` = `ce-id`, W3C `traceparent`. "
            "Delivery is at least once and may be late or out of order; unknown fields "
            "must be ignored.",
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "nats:4222", "protocol": "nats"}},
        "channels": {_name(event): _channel(event) for event in events},
        "operations": {
            **_operations("send", says),
            **_operations("receive", hears),
        },
        "components": {"messages": {_name(event): _message(event) for event in events}},
    }


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema that *event*'s version promises to its readers."""
    return event.model_json_schema(mode="serialization")


def _name(event: type[Event]) -> str:
    return event.subject.replace(".", "_")


def _channel(event: type[Event]) -> dict[str, Any]:
    name = _name(event)
    return {
        "address": event.subject,
        "description": f"JetStream stream `{event.publisher()}`.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operations(action: str, events: Iterable[type[Event]]) -> dict[str, Any]:
    return {
        f"{action}_{_name(event)}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{_name(event)}"},
            "summary": (event.__doc__ or "").strip().partition("\n")[0],
        }
        for event in events
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.__name__,
        "title": event.subject,
        "summary": " ".join((event.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "ce-id": {"type": "string", "format": "uuid"},
                "ce-type": {"const": event.subject},
                "ce-source": {"const": f"/yuefu/{event.publisher()}"},
                "ce-subject": {"type": "string", "description": f"`{event.about}` of the data"},
                "ce-time": {"type": "string", "format": "date-time"},
            },
        },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": schema_of(event),
        },
    }
