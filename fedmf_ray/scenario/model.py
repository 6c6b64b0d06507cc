"""The sections of a scenario about what is learned, and how it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.list_baselines import LISTS, Ease, Ials
from fedmf_ray.learning.ranking import ALWAYS, COUNTED, MEASURES, Lists
from fedmf_ray.learning.rules import RULES, Defaults, Rule
from fedmf_ray.ratings.scale import STARS
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.own_keys import OpenSection, known
from fedmf_ray.scenario.sources import Section

_LEFT_TO_THE_RULE = (
    "factors", "biases", "mean", "reg_user", "reg_item", "reg_user_bias", "reg_item_bias", "init_scale",
)  # fmt: skip


_BY_RULE: Any = None
"""A default that is replaced by the rule's own before a section is made."""


class Model(OpenSection):
    """Matrix factorisation."""

    choices = ("rule", "algorithm")

    algorithm: Literal["fedmf", "regular_mf", "biases", "popularity", "ease", "ials"] = "fedmf"
    """The others are central baselines: one process, no protection, same data. ``regular_mf``: gradient
    descent rating by rating; ``biases``: mean + b_i + b_j; ``popularity``: the most-rated items for
    everybody, and the mean of all ratings as the prediction; ``ease`` and ``ials``: the best lists, and each
    user's own mean as the prediction."""
    factors: bounds.Factors = _BY_RULE
    """Length of vectors. If not given: 30 under ridge, 100 under gradient rules."""
    rule: str = "ridge"
    """``ridge``: users solve exactly, items take curvature-scaled steps, and there is no learning rate;
    ``sequential`` as the authors' code, ``batch`` as the paper's equations; ``item_item``: lists from one
    round of sums over pairs of liked items, after a census, and no predictions of ratings; ``implicit``:
    weighted factorisation of the same likings; or a rule of an installed plug-in. A rule's own settings
    stand under its name. If not given: sequential where ``learning_rate`` is, which ridge has no use for, or
    ``algorithm`` is regular_mf; ridge otherwise."""
    biases: bool = _BY_RULE
    """Ratings are mean + user's bias + item's bias + inner product, instead of the product alone. If not
    given: true under ridge, false under gradient rules."""
    mean: bounds.StarsOrAuto = None
    """What all ratings are relative to. ``auto``: the mean of all ratings for training, to about a hundredth
    of the scale. If not given: auto under ridge, 0 under gradient rules."""
    learning_rate: bounds.Rate = 1e-3
    """Of gradient rules and ``regular_mf``."""
    reg_user: bounds.Weight | None = None
    """Weight of a user's squared vector. If not given: 1e-4 under gradient rules; 25 under ridge for ratings
    of 0.5 to 5, and in proportion to the length of other scales."""
    reg_item: bounds.Weight | None = None
    """The same of items: 1e-4, or 5 under ridge."""
    reg_user_bias: bounds.Weight | None = None
    """Of users' biases. If not given: ``reg_user`` if that is, or 1e-4; 4 under ridge."""
    reg_item_bias: bounds.Weight | None = None
    """Of items' biases. If not given: ``reg_item`` if that is, or 1e-4; 3 under ridge."""
    init: Literal["normal", "constant"] = "normal"
    """``constant`` is the authors' choice; all coordinates then stay equal and the model is rank one."""
    init_scale: bounds.Rate | None = None
    """Standard deviation of ``normal``, value of ``constant``. If not given: 0.1; 0.03 under ridge, times the
    root of the length of the scale over that of 0.5 to 5."""

    @property
    def central(self) -> bool:
        """Whether there is no protocol: a baseline in one process."""
        return self.algorithm != "fedmf"

    @property
    def steps(self) -> Steps:
        """Step size and regularisation. What depends on ratings that are not known yet is as for 0.5 to 5,
        and the mean 0."""
        whole = self.filled(RULES.get(self.rule).defaults(STARS.length), None)
        mean = whole["mean"]
        return Steps(
            self.learning_rate,
            whole["reg_user"],
            whole["reg_item"],
            whole["reg_user_bias"],
            whole["reg_item_bias"],
            0.0 if isinstance(mean, str) else mean,
        )

    def filled(self, defaults: Defaults, mean: float | None) -> dict[str, Any]:
        """The keys that may be left to the rule, all given; mean: that of the ratings, if it is known."""
        own = {name: getattr(self, name) for name in _LEFT_TO_THE_RULE}
        for kind in ("user", "item"):
            if own[f"reg_{kind}"] is not None and own[f"reg_{kind}_bias"] is None:
                own[f"reg_{kind}_bias"] = own[f"reg_{kind}"]
        whole = {name: getattr(defaults, name) if value is None else value for name, value in own.items()}
        for kind in ("user", "item"):
            if whole[f"reg_{kind}_bias"] is None:
                whole[f"reg_{kind}_bias"] = whole[f"reg_{kind}"]
        if whole["mean"] in (None, "auto"):
            whole["mean"] = "auto" if mean is None else mean
        return whole

    @property
    def rule_object(self) -> Rule:
        """The rule with its settings."""
        return RULES.get(self.rule)(**(self.own.get(self.rule) or {}))

    @property
    def lists_object(self) -> Ease | Ials | None:
        """The central model of lists with its settings, if it is one."""
        kind = LISTS.get(self.algorithm)
        return kind(**(self.own.get(self.algorithm) or {})) if kind else None

    @classmethod
    def offered(cls) -> set[str]:
        return {*RULES.names(), *LISTS}

    @model_validator(mode="before")
    @classmethod
    def _as_the_rule_has_it(cls, tree: Any) -> Any:
        """Which rule it is, and what does not depend on the ratings."""
        if not isinstance(tree, Mapping):
            return tree
        name = rule_of(tree)
        if not isinstance(name, str) or name not in RULES.names():
            return tree
        one, other = (RULES.get(name).defaults(length) for length in (1.0, 100.0))
        whole = dict(tree) | {"rule": name}
        for key in _LEFT_TO_THE_RULE:
            value, same = getattr(one, key), getattr(one, key) == getattr(other, key)
            follows = key.endswith("_bias") and (value is None or whole.get(key[: -len("_bias")]) is not None)
            if whole.get(key) is None and same and not follows:
                whole[key] = "auto" if value is None else value
        return whole

    @field_validator("rule")
    @classmethod
    def _rule_is_known(cls, value: str) -> str:
        return known(value, RULES.names())

    @model_validator(mode="after")
    def _rule_fits(self) -> Model:
        self.check_own(RULES.get(self.rule))
        problem = self.rule_object.problem(self.steps, self.biases)
        if problem:
            raise ValueError(f"rule: {problem}")
        if self.algorithm in LISTS:
            self.check_own(LISTS[self.algorithm])
            lists = self.lists_object
            if lists is not None and (problem := lists.problem()):
                raise ValueError(problem)
        return self


def rule_of(model: Mapping[str, Any]) -> Any:
    """The rule of a section, by its keys."""
    if model.get("rule") is not None:
        return model["rule"]
    descends = model.get("learning_rate") is not None or model.get("algorithm") == "regular_mf"
    return "sequential" if descends else "ridge"


class Metrics(Section):
    """What is measured beside errors, after the last round. No user is charged for it."""

    top_k: bounds.ListLength | None = None
    """Length of the lists for hit rate, precision, recall, NDCG and MAP; not measured if not given."""
    every: bounds.Rounds | None = None
    """Lists are measured after every so many rounds, too, in columns of ``rounds.csv``."""
    relevant_from: bounds.Stars | None = None
    """Held-out ratings from here on are what a list should find. If not given: the lowest rating + 7/9 of the
    scale, moved to the nearest possible rating: 4 of 0.5 to 5 or of 1 to 5, 8 of 1 to 10."""
    clip: bool = False
    """Predictions beyond the scale count as its end in errors. Nothing is learned from that."""
    popularity: bounds.Weighting = 0.0
    """Lists are sorted by the expected rating plus this many stars times ln(1 + number of raters): a model of
    ratings knows nothing of what people choose to watch. Users read the numbers from the item matrix."""
    measures: list[bounds.Word] = Field(default_factory=list, max_length=100)
    """Measures of lists beside these, by the names under which installed plug-ins offer them."""

    @property
    def lists(self) -> Lists | None:
        """What lists are measured by, if they are; while the scale is not known, as for 0.5 to 5."""
        if not self.top_k:
            return None
        relevant = STARS.relevant_from if self.relevant_from is None else self.relevant_from
        return Lists(self.top_k, relevant, self.popularity, tuple(self.measures))

    @model_validator(mode="after")
    def _lists_are_measured(self) -> Metrics:
        for key in ("measures", "every"):
            if getattr(self, key) and not self.top_k:
                raise ValueError(f"{key}: of lists: set top_k to their length")
        return self

    @field_validator("measures")
    @classmethod
    def _measures_exist(cls, value: list[str]) -> list[str]:
        others = [name for name in MEASURES.names() if name not in ALWAYS | COUNTED]
        for name in value:
            MEASURES.get(known(name, others))
        return value
