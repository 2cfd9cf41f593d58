"""For all tests: what an example in a document declares is gone after it, so that no other test meets it in the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cases import declared


@pytest.fixture(autouse=True)
def _table_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    if isinstance(request.node, pytest.DoctestItem):
        with declared():
            yield
    else:
        yield
