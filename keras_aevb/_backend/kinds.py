"""The kind of a TFP distribution."""

from typing import Any


def is_kind(distribution: Any, kind: type) -> bool:
    """Whether a distribution is a `kind`, such as `tfd.Independent`.

    TFP makes an object of a private base class instead if a part is not an `AutoCompositeTensor`;
    a user's own distribution usually is not.
    """
    return isinstance(distribution, kind) or issubclass(kind, type(distribution))
