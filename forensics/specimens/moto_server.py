"""moto's server with two shortcuts: the same answers, several times sooner.

``python -m forensics.specimens.moto_server -p PORT`` takes what ``python -m moto.server`` takes.

moto builds an answer from the service's model: of each attribute value it looks for all ten types, each under several
names, though exactly one is there; and for each ``Query`` it compares the whole table's keys as objects that parse
their value at each comparison. A specimen's service waited for this most of its time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

#: types that are in an answer as they are kept: binary ones are put into base64 by moto
_AS_KEPT = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})


def main() -> None:
    """Serve until ended."""
    from moto.server import main as serve

    shorten()
    serve()


def shorten() -> None:
    """Take both shortcuts in this process."""
    from moto.core.serialize import BaseJSONSerializer
    from moto.dynamodb.models.table import Table

    serializer: Any = BaseJSONSerializer
    serializer._serialize_type_structure = _values_as_they_are(serializer._serialize_type_structure)
    table: Any = Table
    table.all_items = _sorted_once(table.all_items)


def _values_as_they_are(general: Callable[..., None]) -> Callable[..., None]:
    def serialize(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if key and shape.name == "AttributeValue" and _plain(value):
            self._default_serialize(serialized, value, shape, key)
        else:
            general(self, serialized, value, shape, key)

    return serialize


def _plain(value: Any) -> bool:
    """Whether an attribute value holds nothing that must be written otherwise than it is kept."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    if kind == "M":
        return all(map(_plain, content.values()))
    return all(map(_plain, content)) if kind == "L" else kind in _AS_KEPT


def _sorted_once(general: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    def all_items(self: Any) -> list[Any]:
        if not self.range_key_attr:
            return general(self)
        items = [item for of_hash in self.items.values() for item in of_hash.values()]
        with contextlib.suppress(TypeError):  # keys that cannot be compared as they are: moto's own way
            return sorted(items, key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value))
        return general(self)

    return all_items


if __name__ == "__main__":
    main()
