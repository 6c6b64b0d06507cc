"""Contract tests that anybody can import: derive a test class, say how to make one, and pytest does the rest.

What other distributions add (a source, a scheme, a rule) is held to the same tests as what is here. They need
pytest.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
