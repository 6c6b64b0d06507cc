"""What to simulate: one YAML file, typed and validated, every key documented where it is defined."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PlainValidator, field_validator, model_validator

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.ranking import ALWAYS, MEASURES, Lists
from fedmf_ray.learning.rules import RULES, Rule
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import MOST_USERS
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.own_keys import OpenSection, known
from fedmf_ray.scenario.sections import Devices, Network, Participation
from fedmf_ray.scenario.sources import FROM_KEYS, Section, Source, chosen
from fedmf_ray.schemes import SCHEMES, Reads, Scheme, scheme_of
from fedmf_ray.schemes.paillier.keys import LARGEST_KEY_BITS, check_key_bits


class Model(OpenSection):
    """Matrix factorisation."""

    choices = ("rule",)

    algorithm: Literal["fedmf", "regular_mf", "biases", "popularity"] = "fedmf"
    """The others are central baselines: one process, no protection, same data. ``regular_mf``: gradient
    descent rating by rating; ``biases``: mean + b_i + b_j; ``popularity``: the most-rated items for
    everybody, and the mean of all ratings as the prediction."""
    factors: bounds.Factors = 100
    rule: str = "sequential"
    """``sequential`` as the authors' code, ``batch`` as the paper's equations; ``ridge``: users solve
    exactly, items take curvature-scaled steps, and there is no learning rate; or a rule of an installed
    plug-in, whose settings stand under its name."""
    biases: bool = False
    """Ratings are mean + user's bias + item's bias + inner product, instead of the product alone."""
    mean: bounds.Stars = 0.0
    """What all ratings are relative to: the middle of the scale, say."""
    learning_rate: bounds.Rate = 1e-3
    reg_user: bounds.Weight = 1e-4
    reg_item: bounds.Weight = 1e-4
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


class Protocol(OpenSection):
    """How the item matrix is protected and what users upload."""

    choices = ("scheme", "charge")

    scheme: str = "packed"
    """``packed`` (fast Paillier), ``elementwise`` (``phe``, one value per ciphertext: the paper's prototype),
    ``masked`` (one-time masks under a secret that users share, and a user who opens each round), ``plain``
    (no protection), or a scheme of an installed plug-in, whose settings stand under its name."""
    key_bits: Annotated[int, Field(le=LARGEST_KEY_BITS)] = 3072
    """Paillier modulus: 2048 gives 112-bit security, 3072 128-bit; 1024 only reproduces the paper."""
    part_text_sparsity: Annotated[float, Field(ge=0, le=1)] = 1.0
    """0 is full text (all rows), 1 part text (rated rows); in between, decoys fill up to the share 1 - s."""
    min_raters: bounds.Users = 1
    """Users upload zeros for items that fewer users rated, and learn nothing from them: a lone rater's steps
    could be read off V by anybody, and those of one of two by the other: 3 hides both. Above 1, round 0 is
    a census: encrypted counts that users read, and the server cannot."""
    fraction_bits: Annotated[int, Field(ge=8, le=50)] = 20
    """Bits after the point; 20 is the grid of phe's precision=1e-5."""
    value_bound: bounds.Entry = 16.0
    """Largest absolute entry of the item matrix; beyond it training has diverged."""
    update_bound: bounds.Entry = 0.5
    """Largest absolute step of one user for one entry in one round."""
    charge: str | None = None
    """Calibrated run: ``scheme: plain`` computes on integers in the clear and is charged this scheme's
    seconds, from unit costs measured when it starts, and bytes. Same model, rows marked ``charged``."""

    @field_validator("scheme", "charge")
    @classmethod
    def _scheme_is_known(cls, value: str | None) -> str | None:
        return None if value is None else known(value, SCHEMES.names())

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        check_key_bits(self.key_bits)
        for name in filter(None, (self.scheme, self.charge)):
            self.check_own(SCHEMES.get(name))
            self.scheme_of(name)
        base = SCHEMES.get(self.scheme)
        if self.charge and not (base.lightweight and base.server_reads == Reads.EVERYTHING):
            raise ValueError(f"charge: {self.charge} needs scheme: plain, a {self.scheme} run is measured")
        return self

    def scheme_of(self, name: str) -> Scheme:
        """A scheme with the settings that it finds here."""
        return scheme_of(self.model_dump(), name)

    @property
    def costed(self) -> Scheme:
        """The scheme whose costs a run reports."""
        return self.scheme_of(self.charge or self.scheme)


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


class Stop(Section):
    """When a run ends, whichever comes first; divergence always ends it."""

    rounds: bounds.Rounds = 10
    tolerance: bounds.Rate | None = None
    """Converged when the mean absolute changes of U and of V in a round are both below this."""


class Cluster(Section):
    """Where the simulation runs. Nothing here changes a result."""

    backend: Literal["ray", "serial"] = "ray"
    """``serial`` runs the same users and server in one process without Ray."""
    address: bounds.Word | None = None
    """A Ray cluster; RAY_ADDRESS otherwise, and a local instance if neither is set."""
    users_per_actor: Annotated[int | Literal["auto"], Field(union_mode="left_to_right")] = 1
    """Users hosted by one worker process; ``auto`` makes one actor per CPU."""
    server_shards: bounds.Processes = 1
    """Server processes; each holds a range of the rows of the item matrix."""
    in_flight: bounds.Processes | None = None
    """Training calls under way at once; two per CPU of the cluster if not given."""
    checkpoint_every: Annotated[int | Literal["auto", "never"], Field(union_mode="left_to_right")] = "auto"
    """Rounds between checkpoints; ``auto`` saves as often as costs 4 % of the time at most.
    Without checkpoints, a run cannot be resumed, and a process that dies ends it."""
    patience_s: bounds.Patience = 600.0
    """A process that has work, and has ended no call for so long while nobody else had anything to do,
    counts as dead: it is ended and replaced. Must be longer than the longest call, such as making the users
    of an actor."""
    checkpoint_folder: bounds.Location | None = None
    """All machines must see it under this path. If not given, a folder in FEDMF_STATE, or in the user's
    state folder. It holds private keys and vectors (mode 0600): never publish it."""

    @field_validator("users_per_actor", mode="before")
    @classmethod
    def _whole_or_auto(cls, value: Any) -> Any:
        return bounds.whole_or(value, ("auto",), MOST_USERS)

    @field_validator("checkpoint_every", mode="before")
    @classmethod
    def _rounds_or_word(cls, value: Any) -> Any:
        return bounds.whole_or(value, ("auto", "never"), bounds.MOST_ROUNDS)


class Observe(Section):
    """What an adversary gets to see of a run, for ``fedmf-ray audit``; not for runs to be published."""

    who: Literal["server", "user"]
    """``server``: uploads as they arrive, and V if it is in the clear. ``user``: V of each round."""
    rounds: Annotated[list[bounds.Round], Field(min_length=1, max_length=10_000)] | None = None
    """Which rounds are recorded; the first two and the last two if not given."""
    collusion: bool = False
    """The server has a key-holder decrypt everything for it."""
    largest_gb: bounds.Gigabytes = 2.0
    """A view that would be larger stops the run before it starts."""

    @model_validator(mode="after")
    def _a_server_colludes(self) -> Observe:
        if self.collusion and self.who != "server":
            raise ValueError("collusion: needs who: server")
        return self

    def recorded(self, rounds: int) -> frozenset[int]:
        """The numbers of the rounds to record, of so many."""
        chosen = self.rounds or (0, 1, rounds - 2, rounds - 1)
        return frozenset(number for number in chosen if 0 <= number < rounds)


class Scenario(Section):
    """One experiment."""

    name: bounds.Name
    """Names the results folder; the file's stem if not given."""
    description: bounds.Text = ""
    seed: bounds.Seed = 1
    """Decides data, splits and initial vectors. Never keys, encryption or decoys: a server may know it."""
    ratings: Annotated[Source, PlainValidator(chosen)]
    test: Annotated[Split, FROM_KEYS] = Split()
    metrics: Metrics = Metrics()
    model: Model = Model()
    protocol: Protocol = Protocol()
    stop: Stop = Stop()
    participation: Annotated[Participation, FROM_KEYS] = Participation()
    network: Annotated[Network, FROM_KEYS] = Network()
    devices: Annotated[Devices, FROM_KEYS] = Devices()
    cluster: Cluster = Cluster()
    observe: Observe | None = None

    @field_validator("participation", mode="before")
    @classmethod
    def _share_alone(cls, value: Any) -> Any:
        return {"share": float(value)} if isinstance(value, int | float) else value

    @field_validator("observe", mode="before")
    @classmethod
    def _who_alone(cls, value: Any) -> Any:
        return {"who": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _something_to_observe(self) -> Scenario:
        if self.observe and self.model.central:
            raise ValueError(f"observe: {self.model.algorithm} has neither server nor users")
        return self

    @model_validator(mode="after")
    def _popularity_is_known(self) -> Scenario:
        counted = self.model.central or self.protocol.min_raters > 1 or self.model.rule_object.counts
        if self.metrics.popularity and not counted:
            raise ValueError(
                f"metrics.popularity: rule {self.model.rule} does not count raters: set it to 0, "
                "or protocol.min_raters above 1, or model.rule to ridge"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved scenario, every key spelled out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
