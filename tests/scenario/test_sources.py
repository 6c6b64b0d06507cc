"""Sources from elsewhere: a class with a decorator, or an entry point, and no other line changes."""

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.table import Ratings, UserRatings
from fedmf_ray.ratings.users import Users
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario import source_registry, sources
from fedmf_ray.scenario.sources import Section, TableSource, source
from fedmf_ray.testing.sources import SourceTests, TableSourceTests
from tests.support.small_runs import small

PLUGIN = '''
from typing import Literal

import numpy as np

from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.table import Ratings
from fedmf_ray.scenario.sources import TableSource


class Grid(TableSource):
    """Everybody rates everything."""

    source: Literal["{name}"]
    side: int = 5

    def load(self):
        users, items = np.divmod(np.arange(self.side**2), self.side)
        return Ratings(users + 1, items + 1, 1.0 + (users + items) % 5, np.arange(self.side**2))
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module and one entry point, as pip would."""
    # Nothing is remembered.
    monkeypatch.setattr(source_registry, "_adapter", source_registry._adapter.__wrapped__)

    def make(name, module, code=PLUGIN, offers="Grid", distribution="plug"):
        site = tmp_path / distribution
        (site / f"{distribution}-1.0.dist-info").mkdir(parents=True)
        info = site / f"{distribution}-1.0.dist-info"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[fedmf_ray.sources]\n{name} = {module}:{offers}\n")
        (site / f"{module}.py").write_text(textwrap.dedent(code).replace("{name}", name))
        monkeypatch.syspath_prepend(site)

    return make


def scenario(**ratings):
    return scenario_file.parse({"name": "x", "ratings": ratings}, "x.yaml")


def test_an_entry_point_is_a_source(install):
    install("grid", "plug_good")
    chosen = scenario(source="grid", side=4, select={"users": 3}).ratings
    assert type(chosen).__module__ == "plug_good"
    population = Population.of(scenario(source="grid", side=4, select={"users": 3}))
    assert population.user_ids == [1, 2, 3]
    assert [len(user.items) for user in population.slices] == [4, 4, 4]
    with pytest.raises(FedMFError, match=r"^x.yaml: ratings.sides: unknown key \(did you mean side\?\)$"):
        scenario(source="grid", sides=4)
    with pytest.raises(FedMFError, match=r"'web' must be one of synthetic, movielens, file.*, grid$"):
        scenario(source="web")


def test_a_written_scenario_names_what_was_loaded_before_what_was_selected(install):
    install("grid-order", "plug_order")
    tree = scenario(source="grid-order").model_dump(mode="json")
    assert list(tree["ratings"]) == ["source", "side", "scale", "titles", "select"]


def test_a_plug_in_that_cannot_be_imported_is_named_and_breaks_no_other(install):
    install("broken", "plug_broken", "import no_such_module\n")
    assert scenario(source="synthetic", users=3, items=4)
    with pytest.raises(FedMFError, match=r"plug .*broken = plug_broken:Grid.*no_such_module") as caught:
        scenario(source="broken")
    assert "\n" not in str(caught.value)


def test_two_plug_ins_of_one_name_are_both_named(install):
    install("double", "plug_one", distribution="first")
    install("double", "plug_two", distribution="second")
    with pytest.raises(FedMFError, match=r"first .*plug_one:Grid.* second .*plug_two:Grid") as caught:
        scenario(source="double")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offers", "code", "message"),
    [
        ("Grid", PLUGIN.replace("{name}", "other"), "Grid calls itself 'other'"),
        ("Grid", "Grid = 7", "7 is not a class with a method population"),
        ("Grid", "class Grid: pass", "not a class with a method population"),
        ("Grid", "class Grid:\n    def population(self): ...", r"Grid needs a field source: Literal"),
        (
            "Grid",
            "import fedmf_ray.scenario.sources as s\nclass Grid(s.TableSource):\n    def load(self): ...",
            r"Grid needs a field source: Literal",
        ),
    ],
)
def test_what_is_no_source_is_refused_with_the_reason(offers, code, message, install, tmp_path):
    install("odd", f"plug_{tmp_path.name}", code, offers)
    with pytest.raises(FedMFError, match=message) as caught:
        scenario(source="odd")
    assert "\n" not in str(caught.value)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'file'"):

        @source
        class Another(TableSource):
            source: Literal["file"]


class Pairs:
    """A recipe: user i rates items i to i + 4."""

    mean_ratings = 5.0

    def __init__(self, flaw=None):
        self.flaw = flaw

    def user(self, user_id):
        items = (user_id + np.arange(5)) % 9
        values = np.arange(1.0, 6.0)
        if self.flaw == "twice":
            items = items * 0
        if self.flaw == "infinite":
            values[2] = np.inf
        if self.flaw == "random":
            values += np.random.default_rng().random()
        if self.flaw == "beyond":
            items = items + 9
        nobody = 99 if self.flaw == "another" else user_id
        return UserRatings(nobody, items, values, items[:0], values[:0])

    def likely_counts(self, user_ids):
        return np.full(len(user_ids), 5)

    def popularity(self):
        return np.ones(9) - (self.flaw == "unpopular")


@pytest.fixture
def registered(monkeypatch):
    """Registration that ends with the test."""
    monkeypatch.setattr(sources.SOURCES, "_known", dict(sources.SOURCES._known))
    monkeypatch.setattr(source_registry, "_adapter", source_registry._adapter.__wrapped__)

    @source
    class Made(Section):
        source: Literal["made"]
        users: int = 5
        flaw: str | None = None

        def population(self, seed, split):
            ids = range(self.users, 0, -1) if self.flaw == "backwards" else range(1, self.users + 1)
            return Users(ids, np.arange(9), Pairs(self.flaw))

    @source
    class Drawn(TableSource):
        """A table that is never the same."""

        source: Literal["drawn"]

        def load(self):
            return Ratings(*np.ones((2, 1), int), np.random.default_rng().random(1), np.ones(1, int))


def test_users_of_a_decorated_source_make_their_ratings_where_they_live(registered, tmp_path):
    changed = small().model_dump(mode="json") | {"ratings": {"source": "made"}}
    chosen = scenario_file.parse(changed, "x.yaml")
    population = Population.of(chosen)
    assert not isinstance(population.members(0, 2), Sequence)
    assert population.slices is None
    assert (run(chosen, tmp_path, Silent()) / "rounds.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("flaw", "test"),
    [
        ("twice", "a_user_rates_an_item_once_with_a_finite_number"),
        ("infinite", "a_user_rates_an_item_once_with_a_finite_number"),
        ("beyond", "a_user_rates_an_item_once_with_a_finite_number"),
        ("random", "it_gives_the_same_users_every_time"),
        ("another", "ids_are_in_order_and_unique"),
        ("backwards", "ids_are_in_order_and_unique"),
        ("unpopular", "a_recipe_travels_and_estimates_what_it_makes"),
    ],
)
def test_the_contract_finds_a_flaw(flaw, test, registered, tmp_path):
    class Contract(SourceTests):
        def keys(self, folder):
            return {"source": "made"} | ({"flaw": flaw} if self.flawed else {})

    contract = Contract()
    others = (Split(),) if "every_time" in test or "once" in test else ()
    contract.flawed = False
    getattr(contract, f"test_{test}")(tmp_path, *others)
    contract.flawed = True
    with pytest.raises(AssertionError):
        getattr(contract, f"test_{test}")(tmp_path, *others)


def test_the_contract_finds_a_table_that_changes(registered, tmp_path):
    class Contract(TableSourceTests):
        def keys(self, folder):
            return {"source": "drawn"}

    with pytest.raises(AssertionError, match="values"):
        Contract().test_it_loads_the_same_table_twice(tmp_path)
