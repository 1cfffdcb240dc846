"""Backslashes in what ML Metadata writes to PostgreSQL."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.message import Message

_BACKSLASH = "\\"
# Of the private use area: nobody's text holds it.
_STAND_IN = "\ue05c"


def keep_backslashes() -> None:
    """Makes ML Metadata's client write and read any string on PostgreSQL; other databases are left alone.

    libpq quotes a string with a backslash as ` E'...'`, and ML Metadata 1.16 takes the first and
    the last character of that for the quotes (`EscapeString` of its PostgreSQL source), so that
    the server is sent a statement with a syntax error. Nearly every component's properties are
    such a string: JSON within JSON has backslashes. Another character stands for them in the
    database, and is exchanged on the way in and out. A second call does nothing.
    """
    from ml_metadata.metadata_store import metadata_store

    store = metadata_store.MetadataStore
    if hasattr(store.__init__, "__wrapped__"):
        return
    create, call = store.__init__, store._pywrap_cc_call

    @functools.wraps(create)
    def init(self, config, *args, **kwargs):
        create(self, config, *args, **kwargs)
        if config.DESCRIPTOR.name == "ConnectionConfig" and config.HasField("postgresql"):
            self._pywrap_cc_call = functools.partial(_call, functools.partial(call, self))

    store.__init__ = init


def _call(call: Callable, method: Callable, request: Message, response: Message) -> None:
    if _BACKSLASH.encode() in request.SerializeToString():
        sent = type(request)()
        sent.CopyFrom(request)
        exchange(sent, _BACKSLASH, _STAND_IN)
        request = sent
    call(method, request, response)
    if _STAND_IN.encode() in response.SerializeToString():
        exchange(response, _STAND_IN, _BACKSLASH)


def exchange(message: Message, old: str, new: str) -> None:
    """Replaces a text in all strings of a message, in place; keys of maps are names and stay.

    Args:
        message: any.
        old: what is replaced.
        new: by what.
    """
    for field, value in message.ListFields():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            field = field.message_type.fields_by_name["value"]
            if field.type == field.TYPE_STRING:
                for key in value:
                    value[key] = value[key].replace(old, new)
                continue
        if field.type == field.TYPE_STRING:
            if field.label == field.LABEL_REPEATED:
                value[:] = [text.replace(old, new) for text in value]
            else:
                setattr(message, field.name, value.replace(old, new))
        elif field.type == field.TYPE_MESSAGE:
            for part in value.values() if is_map else value if field.label == field.LABEL_REPEATED else [value]:
                exchange(part, old, new)
