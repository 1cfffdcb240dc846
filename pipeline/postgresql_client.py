"""What ML Metadata's client does otherwise on PostgreSQL than on the other databases."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.message import Message

_BACKSLASH = "\\"
# Of the private use area: nobody's text holds it.
_STAND_IN = "\ue05c"
# Request -> its field of ids, and the response's field of what they are of.
_BY_IDS = {
    "GetArtifactsByIDRequest": ("artifact_ids", "artifacts"),
    "GetContextsByIDRequest": ("context_ids", "contexts"),
    "GetExecutionsByIDRequest": ("execution_ids", "executions"),
}


def correct() -> None:
    """Makes ML Metadata's client behave on PostgreSQL as on the other databases, which are left alone.

    * Strings with a backslash: libpq quotes one as ` E'...'`, and ML Metadata 1.16 takes the first
      and the last character of that for the quotes (`EscapeString` of its PostgreSQL source), so
      that the server is sent a statement with a syntax error. Nearly every component's properties
      are such a string: JSON within JSON has backslashes. Another character stands for them in the
      database, and is exchanged on the way in and out.
    * Order: of rows that were updated PostgreSQL returns the new version last, and ML Metadata asks
      for no order. TFX pairs artifacts by their place with the ids that it asked for
      (`cache_utils._get_outputs_of_execution`), and gave a reused component's outputs to the wrong
      inputs. What was asked for by ids comes in their order.

    A second call does nothing.
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
    if request.DESCRIPTOR.name in _BY_IDS:
        asked, found = _BY_IDS[request.DESCRIPTOR.name]
        place = {id_: i for i, id_ in enumerate(getattr(request, asked))}
        getattr(response, found).sort(key=lambda each: place[each.id])


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
