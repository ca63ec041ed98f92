"""Details of one endpoint that has to exist, as a reader returns them."""

from fastapi_lens.reporting.model import Detail, Window, key_from_id
from fastapi_lens.reporting.reader import Reader


def detail_of(reader: Reader, endpoint_id: int, *, window: Window, now: float) -> Detail:
    found = reader.detail(key_from_id(endpoint_id), window=window, now=now, with_ignored=True)
    assert found is not None
    return found
