"""Values that a database refuses: an error of its own, since trying again does not help."""

import pytest
import sqlalchemy as sa

from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.tables import LEASE
from tests.storage.helpers import table_rows

ROW = {"name": "prune", "owner": "w1", "expires_at": 7}


@pytest.mark.parametrize(
    "values",
    [{"expires_at": 2**63}, {"name": None}, {"owner": "\ud800"}],
    ids=["a number that is too large", "no key", "a text that no driver can encode"],
)
def test_a_value_that_the_database_refuses_has_an_error_of_its_own(
    database: Database, values: dict[str, object]
) -> None:
    with pytest.raises(RefusedError) as caught, database.write() as connection:
        connection.execute(sa.insert(LEASE), {**ROW, **values})
    assert "INSERT" not in str(caught.value)
    assert table_rows(database, LEASE) == []


def test_a_key_that_is_there_already_is_refused(database: Database) -> None:
    with pytest.raises(RefusedError), database.write() as connection:
        connection.execute(sa.insert(LEASE), [ROW, ROW])
    assert table_rows(database, LEASE) == []
