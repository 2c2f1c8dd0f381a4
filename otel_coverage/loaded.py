"""What other packages offer, where the application has loaded them."""

from __future__ import annotations

import sys
from typing import Any


def loaded(module: str, name: str) -> Any:
    """A module's attribute, or None.

    None also while another thread still imports the module: it is in ``sys.modules`` before it has its attributes.
    """
    return getattr(sys.modules.get(module), name, None)
