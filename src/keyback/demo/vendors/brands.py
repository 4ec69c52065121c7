"""The five invented products: names, look and words of their sign-in pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brand:
    """How a fake presents itself.

    Args:
        key: names its style sheet and its cookie.
        name: of the invented product; `like` names the real one that it stands for.
        path: of the sign-in page.
        two_steps: asks for the user name first, then for the password.
        user_label: message id of the first field.
        line: message id of a line about the product.
        forgot: has a "forgot password" page of its own.
    """

    key: str
    name: str
    like: str
    path: str
    two_steps: bool
    user_label: str
    line: str
    forgot: bool = False
