"""How a scenario checks the dataclasses in it. Pydantic stays out: user actors import them, too."""

CHECKS: dict[str, object] = {
    "extra": "forbid",
    "strict": True,
    "allow_inf_nan": False,
    "use_attribute_docstrings": True,
}
"""For ``__pydantic_config__``: unknown keys are refused, and values are not coerced."""
