"""Docstrings name things as Sphinx does (``:class:`~a.b.C` ``); on the site they are code."""

from __future__ import annotations

from typing import Any

import griffe
from reference import markdown


class Roles(griffe.Extension):
    """Rewrites the text of every docstring as it is collected."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
