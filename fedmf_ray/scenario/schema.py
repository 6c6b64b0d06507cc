"""What to simulate: one YAML file, typed and validated, every key documented where it is defined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PlainValidator, field_validator, model_validator

from fedmf_ray.learning.list_baselines import LISTS
from fedmf_ray.learning.rules import RULES
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import MOST_USERS
from fedmf_ray.scenario import bounds
from fedmf_ray.scenario.fitting import rated_problem, rule_problem
from fedmf_ray.scenario.model import Metrics, Model, rule_of
from fedmf_ray.scenario.observe import Observe
from fedmf_ray.scenario.own_keys import OpenSection, known
from fedmf_ray.scenario.sections import Devices, Network, Participation
from fedmf_ray.scenario.sources import FROM_KEYS, Section, Source, chosen
from fedmf_ray.schemes import SCHEMES, Reads, Scheme, scheme_of
from fedmf_ray.schemes.paillier.keys import LARGEST_KEY_BITS, check_key_bits

LEFT = ("fraction_bits", "value_bound", "update_bound")
"""Keys of ``protocol`` that may be left to the rule."""


class Protocol(OpenSection):
    """How the item matrix is protected and what users upload."""

    choices = ("scheme", "charge")

    scheme: str = "packed"
    """``packed`` (fast Paillier), ``elementwise`` (``phe``, one value per ciphertext: the paper's prototype),
    ``masked`` (one-time masks under a secret that users share, and a user who opens each round),
    ``committee`` (masks that a committee of users takes off together: no user's key opens another's upload),
    ``plain`` (no protection), or a scheme of an installed plug-in, whose settings stand under its name."""
    key_bits: Annotated[int, Field(le=LARGEST_KEY_BITS)] = 3072
    """Paillier modulus: 2048 gives 112-bit security, 3072 128-bit; 1024 only reproduces the paper."""
    part_text_sparsity: Annotated[float, Field(ge=0, le=1)] = 1.0
    """0 is full text (all rows), 1 part text (rated rows); in between, decoys fill up to the share 1 - s."""
    min_raters: bounds.Users = 1
    """Users upload zeros for items that fewer users rated, and learn nothing from them: a lone rater's steps
    could be read off V by anybody, and those of one of two by the other: 3 hides both. Above 1, round 0 is
    a census: encrypted counts that users read, and the server cannot."""
    fraction_bits: Annotated[int, Field(ge=8, le=50)] | None = None
    """Bits after the point; 20 is the grid of phe's precision=1e-5. If not given: 20 under gradient rules; 12
    under ridge, more for scales shorter than 0.5 to 5."""
    value_bound: bounds.Entry | None = None
    """Largest absolute entry of the item matrix. If not given: 16 under gradient rules; 4 under ridge for
    ratings of 0.5 to 5, more for longer scales."""
    update_bound: bounds.Entry | None = None
    """Largest absolute step of one user for one entry in one round. If not given: 0.5 under gradient rules;
    1.5 under ridge for ratings of 0.5 to 5, more for longer scales."""
    reading: Literal["all", "rated"] | None = None
    """What of the item matrix users read each round. ``all``: everything, which each of them checks, as in
    the paper. ``rated``: the rows that a user rated, which is all that gradient rules and ridge need. Users
    check the matrix together then, a part each, and seal it for the others, who download the blocks that they
    upload and open those that they rated. For ``packed`` and ``elementwise``; it changes no result. If not
    given: rated under ``packed`` in part text (``part_text_sparsity: 1``) where the rule allows it, and all
    elsewhere."""
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
        if self.reads_rated and not self.costed.checks_protected:
            named = self.charge or self.scheme
            raise ValueError(
                f"reading: rated needs tables that are checked before they are opened, and {named} has none: "
                "set it to all, or scheme (or charge) to packed"
            )
        return self

    @property
    def reads_rated(self) -> bool:
        """Whether it says that users read what they rated alone."""
        return self.reading == "rated"

    @classmethod
    def offered(cls) -> set[str]:
        return set(SCHEMES.names())

    def scheme_of(self, name: str) -> Scheme:
        """A scheme with the settings that it finds here."""
        return scheme_of(self.model_dump(), name)

    @property
    def costed(self) -> Scheme:
        """The scheme whose costs a run reports."""
        return self.scheme_of(self.charge or self.scheme)


class Stop(Section):
    """When a run ends, whichever comes first; divergence always ends it."""

    rounds: bounds.Rounds = 10
    """The most rounds of a run."""
    tolerance: bounds.Rate | None = None
    """Converged when the mean absolute changes of U and of V in a round are both below this."""
    patience: bounds.Rounds | None = None
    """Stopped early when the validation error has not improved for so many rounds; needs ``test.validation``.
    Users keep the model of the last round, and ``summary.json`` names the best one."""
    min_delta: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """By how much it must fall to count as improved."""


class Cluster(Section):
    """Where the simulation runs. Nothing here changes a result."""

    backend: Literal["ray", "serial"] = "ray"
    """``serial`` runs the same users and server in one process without Ray."""
    address: bounds.Word | None = None
    """A Ray cluster; RAY_ADDRESS otherwise, and a local instance if neither is set."""
    users_per_actor: Annotated[int | Literal["auto"] | None, Field(union_mode="left_to_right")] = None
    """Users hosted by one worker process; ``auto`` makes one actor per CPU. If not given: 1 for up to 32
    users, auto for more."""
    actor_cpus: Annotated[float, Field(gt=0, le=1024)] | None = None
    """CPUs that each user actor asks Ray for, so that an autoscaler sees what is missing. If not given,
    actors ask for none, and are spread over the nodes by their CPUs. With it, give ``users_per_actor`` as a
    number: ``auto`` counts the CPUs that are there when the run starts."""
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
        return None if value is None else bounds.whole_or(value, ("auto",), MOST_USERS)

    @field_validator("checkpoint_every", mode="before")
    @classmethod
    def _rounds_or_word(cls, value: Any) -> Any:
        return bounds.whole_or(value, ("auto", "never"), bounds.MOST_ROUNDS)


MOST_WRITTEN = 100_000
"""Users of whom each has a row per round unless a scenario says otherwise: 10 MB a round."""


class Results(Section):
    """What a run writes down."""

    users: Literal["csv", "parquet", "sums"] | None = None
    """``csv``: a row per user and round in ``users.csv.gz``. ``parquet``: the same, with all bits, in a file
    per round in the folder ``users``; needs pyarrow. ``sums``: none; the sums, means and maxima over users
    are in ``rounds.csv``, as always. If not given: csv for up to 100,000 users, sums for more."""

    def each_user(self, users: int) -> bool:
        """Whether each of so many users has a row."""
        return self.users in ("csv", "parquet") or (self.users is None and users <= MOST_WRITTEN)


class Scenario(Section):
    """One experiment."""

    name: bounds.Name
    """Names the results folder; the file's stem if not given."""
    description: bounds.Text = ""
    """One line for people: what the experiment is about."""
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
    results: Results = Results()
    observe: Observe | None = None

    @field_validator("participation", mode="before")
    @classmethod
    def _share_alone(cls, value: Any) -> Any:
        return {"share": float(value)} if isinstance(value, int | float) else value

    @field_validator("observe", mode="before")
    @classmethod
    def _who_alone(cls, value: Any) -> Any:
        return {"who": value} if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _as_the_rule_has_it(cls, tree: Any) -> Any:
        """Keys of ``protocol`` that are left to the rule, where they do not depend on the ratings."""
        model = tree.get("model", {}) if isinstance(tree, Mapping) else None
        protocol = tree.get("protocol", {}) if isinstance(tree, Mapping) else None
        if not isinstance(model, Mapping | Model) or not isinstance(protocol, Mapping):
            return tree
        name = model.rule if isinstance(model, Model) else rule_of(model)
        if not isinstance(name, str) or name not in RULES.names():
            return tree
        one, other = (RULES.get(name).defaults(length) for length in (1.0, 100.0))
        same = {key: getattr(one, key) for key in LEFT if getattr(one, key) == getattr(other, key)}
        given = {key: value for key, value in protocol.items() if value is not None or key not in same}
        return {**tree, "protocol": same | given}

    @model_validator(mode="after")
    def _something_to_observe(self) -> Scenario:
        if self.observe and self.model.central:
            raise ValueError(f"observe: {self.model.algorithm} has neither server nor users")
        return self

    @model_validator(mode="after")
    def _patience_has_a_validation_set(self) -> Scenario:
        if self.stop.patience is not None and self.test.validation is None:
            raise ValueError(
                "stop.patience: needs ratings that are neither for training nor for the test: "
                "test: {folds: 5, fold: 0, validation: 1} measures errors on fold 1, and keeps fold 0"
            )
        return self

    @model_validator(mode="after")
    def _a_given_split_is_of_a_table(self) -> Scenario:
        if self.test.given and not hasattr(self.ratings, "load_split"):
            key = "file" if self.test.file else "column"
            raise ValueError(f"test.{key}: needs ratings.source: file, and not {self.ratings.source}")
        return self

    @model_validator(mode="after")
    def _rule_can_run_so(self) -> Scenario:
        if self.model.central:
            if self.metrics.popularity and self.model.algorithm in LISTS:
                named = self.model.algorithm
                raise ValueError(
                    f"metrics.popularity: is in stars, and the scores of {named} are not: set it to 0"
                )
            return self
        rule, least, popularity = self.model.rule_object, self.protocol.min_raters, self.metrics.popularity
        early = self.stop.tolerance is not None or self.stop.patience is not None
        problem = rule_problem(rule, self.stop.rounds, early, least, popularity)
        if self.protocol.reads_rated:
            problem = problem or rated_problem(rule, self.stop.tolerance is not None)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def reading(self) -> Literal["all", "rated"]:
        """``protocol.reading``, or what stands for it if it is not given."""
        protocol = self.protocol
        if protocol.reading is not None:
            return protocol.reading
        suits = not self.model.central and protocol.costed.shares_check and protocol.part_text_sparsity == 1
        if not suits or rated_problem(self.model.rule_object, self.stop.tolerance is not None):
            return "all"
        return "rated"

    def to_yaml(self) -> str:
        """The resolved scenario, every key spelled out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
