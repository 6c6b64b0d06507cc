"""The ladder of trust: a bar for each protection, in the order of the study."""

import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.ladder import ladder

TABLE = pd.DataFrame(
    {
        "protocol.scheme": ["plain", "plain", "committee", "committee", "masked"],
        "protocol.charge": [None, "packed", None, None, None],
        "protocol.part_text_sparsity": [1.0, 1.0, 0.0, 0.0, 1.0],
        "basis": ["measured", "charged", "measured", "measured", "measured"],
        "protocol_s": [0.1, 2000.0, 1.0, 3.0, None],
        "upload_bytes_total": [1e6, 4e6, 2e6, 2e6, 1e6],
        "download_bytes_total": [1e6, 4e6, 2e6, 2e6, 1e6],
        "users": [2] * 5,
    }
)


def test_bars_are_means_of_rounds_in_the_order_of_the_study():
    seconds, sent = ladder(TABLE).axes
    assert [label.get_text() for label in seconds.get_yticklabels()] == [
        "plain",
        "packed (charged)",
        "committee 4/1, full text",
    ]
    assert [bar.get_width() for bar in seconds.patches] == pytest.approx([0.1, 2000, 2])
    assert [bar.get_width() for bar in sent.patches] == pytest.approx([1, 4, 2])
    assert [bool(bar.get_hatch()) for bar in seconds.patches] == [False, True, False]
    assert "2,000" in [text.get_text() for text in seconds.texts]


def test_one_protection_is_no_ladder():
    with pytest.raises(FedMFError, match="needs a study that sweeps protocol.scheme"):
        ladder(TABLE.assign(**{"protocol.scheme": "plain"}))
