"""Settings that a scheme or a rule brings along: a section under its name, checked like any other."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import yaml

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.rules import RULES
from fedmf_ray.learning.rules.gradient import Batch
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.schemes import SCHEMES, protection
from fedmf_ray.schemes.plain import Plain
from fedmf_ray.study import cells
from tests.support.small_runs import small


@dataclass(frozen=True)
class Shifted(Plain):
    name: ClassVar[str] = "shifted"

    shift: int = 1
    ratio: float = 0.5
    word: str | None = None

    def __post_init__(self):
        if self.shift > 99:
            raise ValueError(f"shift: {self.shift} is too far (at most 99)")

    @property
    def label(self):
        return f"shifted by {self.shift}"


@dataclass(frozen=True)
class Scaled(Batch):
    name: ClassVar[str] = "scaled"

    scale: float = 1.0


@pytest.fixture(autouse=True)
def _registered():
    """For a test."""
    SCHEMES.register("shifted", Shifted)
    RULES.register("scaled", Scaled)
    yield
    del SCHEMES._known["shifted"], RULES._known["scaled"]


def load(tmp_path, *words, **sections):
    tree = {"ratings": {"source": "synthetic", "users": 3, "items": 4}, **sections}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path, lambda: scenario_file.load(path, words)


def test_the_fields_of_a_scheme_are_its_keys(tmp_path):
    _, loaded = load(tmp_path, protocol={"scheme": "shifted", "shifted": {"shift": 3}})
    assert loaded().protocol.costed == Shifted(shift=3)


def test_the_fields_of_a_rule_are_its_keys(tmp_path):
    _, loaded = load(tmp_path, model={"rule": "scaled", "scaled": {"scale": 2.5}})
    assert loaded().model.rule_object == Scaled(scale=2.5)


@pytest.mark.parametrize("own", [None, {}])
def test_without_keys_a_scheme_is_as_it_comes(tmp_path, own):
    _, loaded = load(tmp_path, protocol={"scheme": "shifted", "shifted": own})
    assert loaded().protocol.costed == Shifted()
    _, loaded = load(tmp_path, protocol={"scheme": "shifted"})
    assert loaded().protocol.costed == Shifted()


def test_own_keys_can_be_overridden_and_swept(tmp_path):
    path, loaded = load(tmp_path, "protocol.scheme=shifted", "protocol.shifted.shift=7")
    assert loaded().protocol.costed == Shifted(shift=7)
    path.write_text(path.read_text() + "protocol: {scheme: shifted}\nsweep: {protocol.shifted.shift: [1, 2]}")
    swept = [cell.scenario.protocol.costed for cell in cells.load(path).cells]
    assert swept == [Shifted(shift=1), Shifted(shift=2)]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("protocol.shifted.shift=three", "protocol.shifted.shift: 'three' should be a valid integer"),
        ("protocol.shifted.shift='3'", "protocol.shifted.shift: '3' should be a valid integer"),
        ("protocol.shifted.shift=2.0", "protocol.shifted.shift: 2.0 should be a valid integer"),
        ("protocol.shifted.shift=true", "protocol.shifted.shift: True should be a valid integer"),
        ("protocol.shifted.ratio=.nan", "protocol.shifted.ratio: nan should be a finite number"),
        ("protocol.shifted.word=[a]", "protocol.shifted.word: ['a'] should be a valid string"),
        ("protocol.shifted.shfit=3", "protocol.shifted.shfit: unknown key (did you mean shift?)"),
        ("protocol.shifted.xyz=3", "protocol.shifted.xyz: unknown key"),
        ("protocol.shifted.shift=100", "protocol.shifted.shift: 100 is too far (at most 99)"),
        ("protocol.shifted=3", "protocol.shifted: 3 should be keys and values"),
        ("protocol.shifted=[]", "protocol.shifted: [] should be keys and values"),
        ("protocol.shifted=false", "protocol.shifted: False should be keys and values"),
        ("protocol.shiftd={shift: 3}", "protocol.shiftd: unknown key"),
        ("protocol.own={shifted: {shift: 3}}", "protocol.own: unknown key"),
        ("protocol.plain={}", "protocol.plain: unknown key"),
        ("protocol.packed={}", "protocol.packed: unknown key"),
        ("protocol.scheme=shiftd", "protocol.scheme: 'shiftd' should be one of plain, elementwise, packed, "),
        ("protocol={scheme: plain, shifted: {}}", "protocol.shifted: belongs to protocol.scheme: shifted"),
        ("protocol={scheme: plain, charge: packed, shifted: {}}", "protocol.shifted: belongs to "),
        ("model.scaled={scale: 2}", "model.scaled: belongs to model.rule: scaled"),
        ("model={rule: scaled, scaled: {scale: x}}", "model.scaled.scale: 'x' should be a valid number"),
        ("model={rule: scaled, scaled: {scal: 1}}", "model.scaled.scal: unknown key (did you mean scale?)"),
        ("model={rule: scald}", "model.rule: 'scald' should be one of sequential, batch, ridge"),
        ("model={rule: batch, own: {}}", "model.own: unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_a_line(tmp_path, word, message):
    path, loaded = load(tmp_path, word, protocol={"scheme": "shifted"})
    with pytest.raises(FedMFError) as caught:
        loaded()
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_key_of_the_section_itself_is_not_one_of_a_scheme_too(tmp_path):
    """Whoever sets it there would believe that it counts."""
    _, loaded = load(tmp_path, protocol={"scheme": "packed", "packed": {"key_bits": 1024}})
    with pytest.raises(FedMFError, match="protocol.packed.key_bits: stands beside packed, not below it$"):
        loaded()


@pytest.mark.parametrize(
    "sections",
    [
        {"protocol": {"scheme": "shifted", "shifted": {"shift": 3, "word": "x"}}},
        {"protocol": {"scheme": "shifted"}},
        {"protocol": {"scheme": "plain", "charge": "shifted", "shifted": {"ratio": 0.25}}},
        {"model": {"rule": "scaled", "scaled": {"scale": 3.5}}},
    ],
)
def test_a_written_scenario_loads_to_the_same(tmp_path, sections):
    _, loaded = load(tmp_path, **sections)
    chosen = loaded()
    written = yaml.safe_load(chosen.to_yaml())
    assert "own" not in written["protocol"]
    for name, section in sections.items():
        assert section.items() <= written[name].items()
    assert scenario_file.parse(written, "again.yaml") == chosen


def test_a_charged_scheme_takes_its_own_section(tmp_path):
    _, loaded = load(tmp_path, protocol={"scheme": "plain", "charge": "shifted", "shifted": {"shift": 9}})
    chosen = loaded()
    assert chosen.protocol.costed == Shifted(shift=9)
    assert chosen.protocol.scheme_of("plain") == Plain()
    assert protection(chosen.model_dump(mode="json")["protocol"]) == "shifted by 9 (charged)"


def test_a_run_uses_them_and_says_so(tmp_path):
    folder = run(small(protocol={"scheme": "shifted", "shifted": {"shift": 3}}), tmp_path, Silent())
    assert yaml.safe_load((folder / "scenario.yaml").read_text())["protocol"]["shifted"] == {"shift": 3}


def test_a_study_may_leave_out_what_another_cell_sets():
    """A swept key has a value in every cell: null where another rule runs."""
    tree = {"name": "x", "ratings": {"source": "synthetic", "users": 3, "items": 600}}
    for model in ({"rule": "batch", "item_item": {"top_items": None}}, {"ease": {"reg": None}, "ials": None}):
        assert not scenario_file.parse({**tree, "model": model}, "x.yaml").model.own
    model = {"rule": "item_item", "item_item": {"top_items": None}}
    assert scenario_file.parse({**tree, "model": model}, "x.yaml").model.rule_object.top_items is None
    with pytest.raises(FedMFError, match=r"model.item_item: belongs to model.rule: item_item"):
        scenario_file.parse({**tree, "model": {"rule": "batch", "item_item": {"top_items": 5}}}, "x.yaml")
    with pytest.raises(FedMFError, match=r"model.ease.reg: should be above 0"):
        scenario_file.parse({**tree, "model": {"algorithm": "ease", "ease": {"reg": 0.0}}}, "x.yaml")
    with pytest.raises(FedMFError, match=r"model.ials.alfa: unknown key .did you mean alpha"):
        scenario_file.parse({**tree, "model": {"algorithm": "ials", "ials": {"alfa": 1.0}}}, "x.yaml")
