"""A scenario turned into what actors need: who the users are, which rows, which numbers, which slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.tariff import Tariff, UnitCosts
from fedmf_ray.errors import FedMFError
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning import factors, ridge
from fedmf_ray.learning.rows import RowLayout
from fedmf_ray.planning import packing, placement
from fedmf_ray.planning.packing import Packing
from fedmf_ray.planning.placement import WORKER_BYTES, Memory
from fedmf_ray.planning.population import Population
from fedmf_ray.planning.uploads import Uploads
from fedmf_ray.privacy.views import Agreed
from fedmf_ray.protocol.messages import ItemBlocks
from fedmf_ray.protocol.terms import Terms, column_grids
from fedmf_ray.protocol.upload_rows import uploaded_count
from fedmf_ray.scenario.schema import Scenario
from fedmf_ray.schemes import registry as schemes
from fedmf_ray.schemes.registry import Matrices

_USER_OBJECTS_BYTES = 2000
"""What Python takes for a user beyond the numbers in its arrays."""


@dataclass(frozen=True)
class Plan:
    """All that is settled before the first actor starts.

    charged: in a calibrated run, the plan of the scheme whose costs are charged.
    share: of the users that each round asks.
    """

    population: Population
    terms: Terms
    scheme: str
    matrices: Matrices
    charged: Plan | None = None
    share: float = 1.0

    @property
    def asked(self) -> int:
        """How many users a round asks."""
        return max(1, round(self.share * len(self.population.user_ids)))

    @property
    def together(self) -> bool:
        """Whether blocks of users are updated together: where the update is all the work there is."""
        return self.scheme == "plain"

    @property
    def memory(self) -> Memory:
        """An actor holds the key's table and, thrice, the item matrix, and may add up uploads; a user its
        ratings, and its vector twice; the server ciphertexts as numbers and, twice, on the wire."""
        blocks = self.terms.blocks
        matrix, wire = 8 * blocks.count * blocks.columns, schemes.wire_bytes(self.scheme, self.matrices)
        ratings = self.population.mean_ratings
        return Memory(
            actor=WORKER_BYTES
            + schemes.table_bytes(self.scheme, self.matrices)
            + 3 * matrix
            + wire * blocks.count,
            user=_USER_OBJECTS_BYTES + 2 * 8 * blocks.width + round(3 * 8 * ratings),
            server=WORKER_BYTES + 3 * wire * blocks.count,
        )

    @classmethod
    def of(cls, scenario: Scenario) -> Plan:
        population, protocol = Population.of(scenario), scenario.protocol
        charged = cls._of(scenario, population, protocol.charge) if protocol.charge else None
        return replace(cls._of(scenario, population, protocol.scheme), charged=charged)

    @classmethod
    def _of(cls, scenario: Scenario, population: Population, scheme: str) -> Plan:
        model, protocol = scenario.model, scenario.protocol
        users, items = len(population.user_ids), len(population.item_ids)
        if model.rule == "ridge":
            row = ridge.row_layout(model.factors, model.biases, steps(scenario))
        else:
            row = RowLayout(model.factors, model.biases, raters=protocol.min_raters > 1)
        point = FixedPoint(
            protocol.fraction_bits, protocol.value_bound, protocol.update_bound, contributors=users
        )
        grid = column_grids(row, point)
        key_bits = 0 if scheme == "plain" else protocol.key_bits
        rows = 1
        if scheme == "packed":
            full_text = protocol.part_text_sparsity == 0
            most = items // scenario.cluster.server_shards
            rows = Packing.of(grid.slot_bits, row.width, items, key_bits, most, full_text).rows
        blocks = ItemBlocks(items, row.width, rows, scenario.cluster.server_shards)
        if blocks.servers > blocks.count:
            raise FedMFError(
                f"cluster.server_shards: {blocks.servers} servers cannot share {blocks.count} blocks of items"
            )
        terms = Terms(
            population.item_ids,
            model.rule,
            steps(scenario),
            row,
            grid,
            blocks,
            protocol.part_text_sparsity,
            protocol.min_raters,
            model.init,
            model.init_scale,
            scenario.seed,
        )
        matrices = Matrices(blocks.columns, grid, key_bits)
        return cls(population, terms, scheme, matrices, share=scenario.participation.share)

    @property
    def work(self) -> NDArray[np.float64] | None:
        """(users,) what each user's round takes beside others', if their ratings are known here."""
        if self.population.slices is None:
            return None
        (all_users,) = self.uploads()
        if self.together:
            return all_users.ratings.astype(float)
        return all_users.blocks + all_users.ratings / 16

    def place(
        self, users_per_actor: int | Literal["auto"], cpus: int, memory_bytes: float | None
    ) -> list[range]:
        """Which users (by position) share an actor; refuses what the cluster's memory cannot hold."""
        users = len(self.population.user_ids)
        groups = placement.group(users, users_per_actor, cpus, self.work)
        placement.check_memory(len(groups), users, self.memory, memory_bytes)
        return groups

    def uploads(self) -> Iterator[Uploads]:
        """What users will upload every round, some users at a time."""
        return self.population.uploads(self.terms.blocks, self.terms.part_text_sparsity)

    @property
    def agreed(self) -> Agreed:
        """What everybody in the protocol knows, an adversary too."""
        terms = self.terms
        return Agreed(
            scheme=self.scheme,
            rule=terms.rule,
            **asdict(terms.steps),
            fraction_bits=terms.grid.main.fraction_bits,
            items=terms.blocks.items,
            least_rows=uploaded_count(0, terms.blocks.items, terms.part_text_sparsity),
            factors=terms.layout.factors,
            biases=terms.layout.bias,
            raters=terms.layout.raters,
            prior=terms.layout.prior,
            min_raters=terms.min_raters,
            rows_per_block=terms.blocks.rows,
        )

    def view_bytes(self, who: str, clear: bool) -> int:
        """How much an adversary's view of one round takes."""
        blocks = self.terms.blocks
        matrix = 8 * blocks.items * blocks.width
        if who == "user":
            return matrix
        uploads = list(self.uploads())
        if clear:
            return matrix + sum(int(some.rows.sum()) for some in uploads) * 8 * (blocks.width + 1)
        sealed = schemes.wire_bytes(self.scheme, self.matrices) + 8
        return sum(int(some.blocks.sum()) for some in uploads) * sealed

    def tariff(self, unit: UnitCosts) -> Tariff:
        """What users and server of this layout are charged at the given unit costs."""
        ciphertexts = schemes.ciphertexts_per_row(self.scheme, self.matrices)
        block_bytes = schemes.wire_bytes(self.scheme, self.matrices)
        tag_bytes = 0 if self.scheme == "plain" else self.matrices.key_bits // 4
        return Tariff(unit, self.terms.blocks, ciphertexts, block_bytes, tag_bytes, self.asked)

    def layout_line(self) -> str:
        """One line for people: how a row is packed."""
        grid, blocks = self.terms.grid, self.terms.blocks
        if self.charged:
            return f"plain integers, charged as {self.charged.scheme}: {self.charged.layout_line()}"
        if self.scheme == "plain":
            return f"plain integers, {grid.slot_bits} bits of 64 in use"
        if self.scheme == "elementwise":
            return f"one value a ciphertext, {blocks.width} ciphertexts a row"
        return packing.line(self.terms, self.matrices.key_bits)


def steps(scenario: Scenario) -> factors.Steps:
    """The step size and regularisation of a scenario."""
    model = scenario.model
    user_bias, item_bias = model.reg_user_bias, model.reg_item_bias
    return factors.Steps(
        model.learning_rate,
        model.reg_user,
        model.reg_item,
        model.reg_user if user_bias is None else user_bias,
        model.reg_item if item_bias is None else item_bias,
        model.mean,
    )
