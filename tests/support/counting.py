"""Texts that count the work that is done with them, where seconds would say too little."""


class CountedSegment(str):
    """A segment that counts comparisons, of all segments together."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        CountedSegment.compared += 1
        return str.__eq__(self, other)


class CountedPath(str):
    """A path whose segments count how often they are compared."""

    __slots__ = ()

    def split(self, *arguments: object, **more: object) -> list[str]:
        return [CountedSegment(one) for one in str(self).split("/")]
