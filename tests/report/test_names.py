"""What runs and cells are called: no key where there is none, and no scheme that is compared by name."""

import math
import re

import pytest

from fedmf_ray.report.convergence import convergence
from fedmf_ray.report.names import describe, protected_by, unused
from fedmf_ray.report.runs import read_any, read_run
from fedmf_ray.schemes import protection


def scenario(algorithm="fedmf", **protocol):
    whole = {"scheme": "packed", "key_bits": 3072, "charge": None} | protocol
    return {"name": "x", "model": {"algorithm": algorithm}, "protocol": whole}


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        ({"scheme": "packed", "charge": None, "key_bits": 3072}, "packed, 3072 bits"),
        ({"scheme": "plain", "charge": None, "key_bits": 3072}, "plain"),
        ({"scheme": "plain", "charge": "elementwise", "key_bits": 1024}, "elementwise, 1024 bits (charged)"),
        ({"scheme": "of-a-plug-in", "key_bits": 3072}, "of-a-plug-in"),
        ({"scheme": "packed"}, "packed"),
    ],
)
def test_what_protects_a_run_in_words(protocol, text):
    assert protection(protocol) == text


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (scenario(), "packed, 3072 bits"),
        (scenario(scheme="plain"), "plain"),
        (scenario(scheme="plain", charge="packed"), "packed, 3072 bits, charged"),
        (scenario(scheme="of-a-plug-in"), "of-a-plug-in"),
        (scenario("biases"), "biases, central"),
        (scenario("popularity", scheme="plain"), "popularity, central"),
        (scenario("regular_mf"), "regular_mf, central"),
    ],
)
def test_a_baseline_has_no_scheme_and_plain_has_no_key(tree, text):
    assert protected_by(tree) == text


@pytest.mark.parametrize("algorithm", ["biases", "popularity", "regular_mf"])
def test_a_picture_of_a_baseline_names_no_key_and_no_rule(algorithm, make_run):
    run = read_run(make_run("base", [(4, 2), (3, 1)], algorithm=algorithm))
    assert run.label == f"base ({algorithm}, central)"
    title = convergence([run]).get_suptitle()
    assert "bits" not in title
    assert "sequential" not in title
    assert ("d = " in title) == (algorithm == "regular_mf")


def test_a_charged_run_says_so_once_where_its_basis_is_named_too(make_run):
    folder = make_run("r", [(4, 2)])
    text = (folder / "scenario.yaml").read_text()
    text = text.replace("scheme: packed", "scheme: plain").replace("charge: null", "charge: packed")
    (folder / "scenario.yaml").write_text(text)
    ((name, _),) = read_any([folder])
    assert name == "r (packed, 3072 bits, charged)"


@pytest.mark.parametrize(
    ("keys", "basis", "text"),
    [
        ({"protocol.scheme": "plain", "protocol.charge": math.nan, "protocol.key_bits": 1024.0}, "measured",
         "plain"),
        ({"protocol.scheme": "plain", "protocol.charge": "packed", "protocol.key_bits": 1024.0}, "charged",
         "packed, 1024 bits (charged)"),
        ({"protocol.scheme": "packed", "protocol.charge": None, "protocol.key_bits": 2048}, "estimated",
         "packed, 2048 bits (estimated)"),
        ({"protocol.charge": None, "protocol.key_bits": 2048}, "measured", ""),
        ({"protocol.key_bits": 2048, "model.factors": 10}, "measured", "2048 bits, factors 10"),
        ({"protocol.scheme": "packed", "protocol.part_text_sparsity": 0.0}, "measured", "full text, packed"),
        ({"protocol.scheme": "of-a-plug-in", "protocol.members": 3}, "measured", "of-a-plug-in, members 3"),
        ({"model.algorithm": "biases", "protocol.scheme": "packed", "protocol.key_bits": 3072}, "measured",
         "biases, central"),
        ({"model.algorithm": "fedmf", "protocol.scheme": "packed"}, "measured", "packed, algorithm fedmf"),
    ],
)  # fmt: skip
def test_a_cells_swept_values_in_words(keys, basis, text):
    assert describe(keys, basis) == text


def test_what_means_nothing_for_a_cell():
    protocol = {"protocol.scheme": "packed", "protocol.key_bits": 3072, "protocol.charge": None}
    assert unused(protocol) == set()
    assert unused(protocol | {"protocol.scheme": "plain"}) == {"protocol.key_bits"}
    assert unused(protocol | {"model.algorithm": "biases"}) == set(protocol)


def test_no_module_of_the_report_compares_a_schemes_name(root):
    names = re.compile(r"""["'](plain|packed|elementwise)["']""")
    for file in (root / "fedmf_ray" / "report").glob("*.py"):
        assert not names.search(file.read_text()), file
