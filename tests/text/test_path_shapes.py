"""Paths that differ in the names of their parameters alone have the same shape."""

import pytest

from fastapi_lens.text.path_shapes import shape_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("template", "shape"),
    [
        ("/", "/"),
        ("/orders/{order_id}", "/orders/{}"),
        ("/orders/{id}/items/{number}.xml", "/orders/{}/items/{}.xml"),
        ("/files/{path:path}", "/files/{}"),
        ("<unmapped>", "<unmapped>"),
    ],
)
def test_the_names_of_parameters_are_no_part_of_a_shape(template: str, shape: str) -> None:
    assert shape_of(template) == shape
