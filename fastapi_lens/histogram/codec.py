"""Compact byte format of a histogram. Pure; knows nothing of latencies.

A histogram in memory is one big integer with a lane of `LANE_BITS` bits for each bucket. Its
counts are high in the middle and low on both sides, so its bytes are layers, each only as long as
it has to be: the lowest bytes of all counts from the first that is not zero to the last, then the
second bytes of those counts that have any, and so on. The highest layer is split once more, into
the lower and the upper halves of its bytes, where that is shorter.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

Lanes = tuple[int, int]
"""The lanes as one big integer, and the number of the first of them."""

# A lane holds 2^40 calls: 35 years of 1,000 calls a second in one bucket.
LANE_BYTES = 5
LANE_BITS = 8 * LANE_BYTES

# A layer's header: its kind, the number of its first lane, and its bytes.
_HEADER_BYTES = 3
_KIND_BITS, _FIRST_BITS = 4, 10
_WHOLE = 2 * LANE_BYTES
"""Kinds below are halves of bytes, two lanes in a byte: the first for the lower halves of the
lowest bytes, the second for their upper halves, and so on. This one is for all of the lowest
bytes, the next for the second, and so on."""

_KINDS = _WHOLE + LANE_BYTES
_MOST_FIRST = (1 << _FIRST_BITS) - 1
_SMALL = bytes(range(16))
_LOWER = bytes(byte & 15 for byte in range(256))
_UPPER = bytes(byte >> 4 for byte in range(256))
_RAISED = bytes(byte << 4 & 255 for byte in range(256))
_KEPT = bytes(byte & 240 for byte in range(256))
_HALVES = ((_LOWER, _UPPER), (_RAISED, _KEPT))
"""Translation tables from a byte of two lanes to each of them, as lower and as upper halves."""

_MOST_LANES = 4 << _FIRST_BITS
"""More than headers can name."""

_ABOVE_A_BYTE = int.from_bytes(b"\0\xff\xff\xff\xff" * _MOST_LANES, "little")
"""Mask of the bits that make a count larger than one byte can hold."""


def pack(lanes: int, low: int = 0) -> bytes:
    """The bytes of some lanes, the first of which has the number `low`; empty if all are zero."""
    raw = lanes.to_bytes(_size(lanes), "little")
    # Most counts are small: one test of all of them is faster than a test of each byte.
    used = LANE_BYTES if lanes & _ABOVE_A_BYTE else 1
    planes = [raw[byte::LANE_BYTES] for byte in range(used)]
    while len(planes) > 1 and not planes[-1].strip(b"\0"):
        planes.pop()
    *lower, highest = planes
    layers = [_layer(_WHOLE + byte, plane, low) for byte, plane in enumerate(lower)]
    return b"".join([*layers, _highest(len(lower), highest, low)])


def pack_many(several: Sequence[Lanes]) -> bytes:
    """The bytes of many lane sequences, in a quarter of the time of `pack`; to be compressed.

    The format: the number of lanes of each, then the number of the first lane of each, as 32-bit
    integers; then the lowest bytes of all counts, the second bytes, and so on, up to the highest
    byte in use.
    """
    sizes = [_size(lanes) for lanes, _ in several]
    raw = b"".join(
        [lanes.to_bytes(size, "little") for (lanes, _), size in zip(several, sizes, strict=True)]
    )
    planes = [raw[byte::LANE_BYTES] for byte in range(LANE_BYTES)]
    while planes and not planes[-1].strip(b"\0"):
        planes.pop()
    numbers = [*(size // LANE_BYTES for size in sizes), *(low for _, low in several)]
    return b"".join([struct.pack(f"<{len(numbers)}I", *numbers), *planes])


def unpack_many(data: bytes, number: int) -> list[Lanes]:
    """The inverse of `pack_many`.

    Args:
        data: The result of `pack_many`.
        number: Number of packed lane sequences.

    Raises:
        ValueError: The data was not written by `pack_many`.
    """
    head = struct.Struct(f"<{2 * number}I")
    if len(data) < head.size:
        raise ValueError("it is shorter than it says")
    numbers = head.unpack_from(data)
    lanes = sum(numbers[:number])
    planes, rest = divmod(len(data) - head.size, max(1, lanes))
    if rest or planes > (LANE_BYTES if lanes else 0):
        raise ValueError("it has another length than it says")
    raw = bytearray(lanes * LANE_BYTES)
    for byte in range(planes):
        begin = head.size + byte * lanes
        raw[byte::LANE_BYTES] = data[begin : begin + lanes]
    found: list[Lanes] = []
    at = 0
    for count, low in zip(numbers[:number], numbers[number:], strict=True):
        end = at + count * LANE_BYTES
        found.append((int.from_bytes(raw[at:end], "little"), low))
        at = end
    return found


def add_up(parts: Iterable[Lanes]) -> Lanes:
    """The sum of some lanes; nothing gives ``(0, 0)``."""
    total = low = 0
    for lanes, first in parts:
        if not total:
            total, low = lanes, first
        elif first >= low:
            total += lanes << LANE_BITS * (first - low)
        else:
            total, low = (total << LANE_BITS * (low - first)) + lanes, first
    return total, low


def add_up_many(parts: Iterable[Lanes]) -> Lanes:
    """The same as `add_up`, three times as fast for hundreds and slower for a few."""
    by_first: dict[int, list[int]] = {}
    for lanes, first in parts:
        by_first.setdefault(first, []).append(lanes)
    return add_up((sum(lanes), first) for first, lanes in by_first.items())


def fits(blob: bytes, lanes: int) -> bool:
    """True if `pack` may have produced these bytes from at most that many lanes."""
    at = 0
    while at < len(blob):
        header = int.from_bytes(blob[at : at + _HEADER_BYTES], "little")
        kind, first = header & ((1 << _KIND_BITS) - 1), header >> _KIND_BITS & _MOST_FIRST
        size = header >> _KIND_BITS + _FIRST_BITS
        at += _HEADER_BYTES + size
        # With half bytes, the last byte may hold only one lane.
        last = first + size if kind >= _WHOLE else first + 2 * size - 1
        if kind >= _KINDS or not size or at > len(blob) or last > lanes:
            return False
    return True


def layers(blob: bytes) -> Iterator[Lanes]:
    """The inverse of `pack`, in parts to add up; stops at bytes that `pack` has not produced."""
    at = 0
    while at < len(blob):
        header = int.from_bytes(blob[at : at + _HEADER_BYTES], "little")
        kind = header & ((1 << _KIND_BITS) - 1)
        if kind >= _KINDS:
            return
        first = header >> _KIND_BITS & _MOST_FIRST
        begin = at + _HEADER_BYTES
        at = begin + (header >> _KIND_BITS + _FIRST_BITS)
        data = blob[begin:at]
        if kind >= _WHOLE:
            wide = bytearray(len(data) * LANE_BYTES)
            wide[kind - _WHOLE :: LANE_BYTES] = data
        else:
            byte, half = divmod(kind, 2)
            even, odd = _HALVES[half]
            wide = bytearray(len(data) * 2 * LANE_BYTES)
            wide[byte :: 2 * LANE_BYTES] = data.translate(even)
            wide[LANE_BYTES + byte :: 2 * LANE_BYTES] = data.translate(odd)
        yield int.from_bytes(wide, "little"), first


def _size(lanes: int) -> int:
    """Bytes of whole lanes."""
    return -(-lanes.bit_length() // LANE_BITS) * LANE_BYTES


def _highest(byte: int, plane: bytes, low: int) -> bytes:
    """The highest byte of all counts, as one layer or as two of half bytes."""
    if not plane.translate(None, _SMALL):
        return _layer(2 * byte, plane, low)
    whole = _layer(_WHOLE + byte, plane, low)
    halves = _layer(2 * byte, plane.translate(_LOWER), low)
    halves += _layer(2 * byte + 1, plane.translate(_UPPER), low)
    return min(whole, halves, key=len)


def _layer(kind: int, plane: bytes, low: int) -> bytes:
    """A header and the bytes from the first that is not zero to the last; nothing for zeros."""
    from_first = plane.lstrip(b"\0")
    first = low + len(plane) - len(from_first)
    used = from_first.rstrip(b"\0")
    if kind < _WHOLE:
        odd = int.from_bytes(used[1::2].translate(_RAISED), "little")
        both = int.from_bytes(used[::2], "little") | odd
        used = both.to_bytes((len(used) + 1) // 2, "little")
    if not used:
        return b""
    header = kind | first << _KIND_BITS | len(used) << _KIND_BITS + _FIRST_BITS
    return header.to_bytes(_HEADER_BYTES, "little") + used
