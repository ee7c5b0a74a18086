"""What an exception is about, whatever wraps it."""

from __future__ import annotations

import pytest

from forensics.errors import ForensicsError, is_interrupt


def wrapped(cause: BaseException, *wrappers: type[BaseException]) -> BaseException:
    """``cause`` as the direct cause of a wrapper, and that of the next."""
    for wrapper in wrappers:
        try:
            raise wrapper("returned a result with an exception set") from cause
        except wrapper as error:
            cause = error
    return cause


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), True),
        (wrapped(KeyboardInterrupt(), SystemError), True),
        (wrapped(KeyboardInterrupt(), SystemError, SystemError), True),
        (SystemError("something else"), False),
        (wrapped(ValueError(), SystemError), False),
        (wrapped(KeyboardInterrupt(), ForensicsError), False),  # whoever says more of it is heard
    ],
)
def test_an_interrupt_is_known_through_what_compiled_code_makes_of_it(error: BaseException, expected: bool):
    assert is_interrupt(error) is expected
