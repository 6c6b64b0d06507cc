"""The part of a scenario that says whose ratings: their source, what of it takes part, what is held out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator


class Section(BaseModel):
    """Unknown keys are refused, values are not coerced, and nothing changes after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class SyntheticSource(Section):
    """Seeded ratings that each user makes for itself."""

    source: Literal["synthetic"]
    users: PositiveInt
    items: PositiveInt
    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the rating matrix that is missing."""
    rank: PositiveInt = 5
    """True rank of the taste that generates the ratings."""
    noise: Annotated[float, Field(ge=0)] = 0.5
    """Standard deviation of the noise, in stars."""
    popularity_skew: Annotated[float, Field(ge=0)] = 0.8
    """Exponent of the popularity law: 0 is uniform."""
    half_stars: bool = True
    """Round ratings to the half-star grid."""


class Selection(Section):
    """Which part of a file takes part. Items first, then users, as the authors do."""

    items: PositiveInt | None = None
    """Keep the most-rated items (ties by first appearance in the file)."""
    users: PositiveInt | None = None
    """Keep the first users in numeric order of their id."""
    min_raters: PositiveInt = 1
    """Then drop items that fewer of those users rated: a lone rater's steps can be read off V."""
    min_ratings: Annotated[int, Field(ge=0)] = 1
    """Then drop users with fewer ratings than this among the kept items; 0 keeps also those without any."""


class MovieLensSource(Section):
    """A MovieLens data set from the cache (``fedmf-ray data fetch NAME``)."""

    source: Literal["movielens"]
    dataset: str = "ml-latest-small"
    select: Selection = Selection()


class Columns(Section):
    """Which column of a file holds what."""

    user: str = "user"
    item: str = "item"
    rating: str = "rating"
    timestamp: str | None = None
    """Without one, the order of the file is the order in time."""


class FileSource(Section):
    """Any CSV or Parquet file with named columns. A relative path starts at the scenario file."""

    source: Literal["file"]
    path: str
    columns: Columns = Columns()
    select: Selection = Selection()


class TestSplit(Section):
    """What is held out as test set: one of the three, or nothing."""

    last: Annotated[int, Field(ge=0)] = 0
    """The last h ratings of each user by timestamp; 1 is leave-last-out."""
    fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """A random share of each user's ratings, drawn from the seed and the user id."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Deal each user's ratings into so many parts, at random from the seed and the user id ..."""
    fold: Annotated[int, Field(ge=0)] = 0
    """... and hold out this one, counted from 0. The folds of one seed are disjoint and hold every rating."""
    validation: Annotated[int, Field(ge=0)] | None = None
    """To choose settings: test on this fold, and leave ``fold`` out of everything, to judge the choice."""

    @model_validator(mode="after")
    def _one_of_three(self) -> TestSplit:
        if sum(map(bool, (self.last, self.fraction, self.folds))) > 1:
            raise ValueError("give one of last, fraction and folds")
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold: {self.fold} must be below folds ({self.folds or 'not given'})")
        if self.validation is not None and (
            self.validation >= (self.folds or 0) or self.validation == self.fold
        ):
            raise ValueError(f"validation: {self.validation} must be below folds and another one than fold")
        if self.validation is not None and self.folds == 2:
            raise ValueError("validation: two folds leave nothing to train on")
        return self
