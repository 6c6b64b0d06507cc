"""The sections of a scenario about what is learned, and how it is measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.ranking import ALWAYS, MEASURES, Lists
from fedmf_ray.learning.rules import RULES, Rule
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.own_keys import OpenSection, known
from fedmf_ray.scenario.sources import Section


class Model(OpenSection):
    """Matrix factorisation."""

    choices = ("rule",)

    algorithm: Literal["fedmf", "regular_mf", "biases", "popularity"] = "fedmf"
    """The others are central baselines: one process, no protection, same data. ``regular_mf``: gradient
    descent rating by rating; ``biases``: mean + b_i + b_j; ``popularity``: the most-rated items for
    everybody, and the mean of all ratings as the prediction."""
    factors: bounds.Factors = 100
    """Length of vectors."""
    rule: str = "sequential"
    """``sequential`` as the authors' code, ``batch`` as the paper's equations; ``ridge``: users solve
    exactly, items take curvature-scaled steps, and there is no learning rate; or a rule of an installed
    plug-in, whose settings stand under its name."""
    biases: bool = False
    """Ratings are mean + user's bias + item's bias + inner product, instead of the product alone."""
    mean: bounds.Stars = 0.0
    """What all ratings are relative to: the middle of the scale, say."""
    learning_rate: bounds.Rate = 1e-3
    """Of gradient rules and ``regular_mf``."""
    reg_user: bounds.Weight = 1e-4
    """Weight of a user's squared vector."""
    reg_item: bounds.Weight = 1e-4
    """The same of items."""
    reg_user_bias: bounds.Weight | None = None
    """Of users' biases; ``reg_user`` if not given."""
    reg_item_bias: bounds.Weight | None = None
    """Of items' biases; ``reg_item`` if not given."""
    init: Literal["normal", "constant"] = "normal"
    """``constant`` is the authors' choice; all coordinates then stay equal and the model is rank one."""
    init_scale: bounds.Rate = 0.1
    """Standard deviation of ``normal``, value of ``constant``."""

    @property
    def central(self) -> bool:
        """Whether there is no protocol: a baseline in one process."""
        return self.algorithm != "fedmf"

    @property
    def steps(self) -> Steps:
        """Step size and regularisation."""
        user_bias, item_bias = self.reg_user_bias, self.reg_item_bias
        return Steps(
            self.learning_rate,
            self.reg_user,
            self.reg_item,
            self.reg_user if user_bias is None else user_bias,
            self.reg_item if item_bias is None else item_bias,
            self.mean,
        )

    @property
    def rule_object(self) -> Rule:
        """The rule with its settings."""
        return RULES.get(self.rule)(**(self.own.get(self.rule) or {}))

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
        return self


class Metrics(Section):
    """What is measured beside errors, once, after the last round. No user is charged for it."""

    top_k: bounds.ListLength | None = None
    """Length of the lists for hit rate, precision, recall and NDCG; not measured if not given."""
    relevant_from: bounds.Stars = 4.0
    """Held-out ratings from here on are what a list should find."""
    popularity: bounds.Weighting = 0.0
    """Lists are sorted by the expected rating plus this many stars times ln(1 + number of raters): a model of
    ratings knows nothing of what people choose to watch. Users read the numbers from the item matrix."""

    measures: list[bounds.Word] = Field(default_factory=list, max_length=100)
    """Measures of lists beside these four, by the names under which installed plug-ins offer them."""

    @property
    def lists(self) -> Lists | None:
        """What lists are measured by, if they are."""
        if not self.top_k:
            return None
        return Lists(self.top_k, self.relevant_from, self.popularity, tuple(self.measures))

    @model_validator(mode="after")
    def _lists_are_measured(self) -> Metrics:
        if self.measures and not self.top_k:
            raise ValueError("measures: are of lists: set top_k to their length")
        return self

    @field_validator("measures")
    @classmethod
    def _measures_exist(cls, value: list[str]) -> list[str]:
        others = [name for name in MEASURES.names() if name not in ALWAYS]
        for name in value:
            MEASURES.get(known(name, others))
        return value
