"""What every registered picture must keep to, as one check.

    import pytest
    from fedmf_ray.report.pictures import registered
    from fedmf_ray.testing.pictures import check_picture

    @pytest.mark.parametrize("picture", registered(), ids=lambda picture: picture.name)
    def test_picture(picture, tmp_path):
        check_picture(picture, tmp_path)

A picture draws, or says in one line why it does not. No line and no bar has seconds or bytes of two kinds. A
picture that shows costs says which kind they are, unless they are measured. Nothing is cut at an edge.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import COLUMN_INCHES, PAGE_INCHES
from fedmf_ray.report.pictures import Folder, Picture, drawings
from fedmf_ray.testing.sample_folders import BASES, empty_study, sample_run, sample_study

Shape = tuple[tuple[float, float], ...]

_SLACK_INCHES = 0.03


def check_picture(picture: Picture, folder: Path) -> None:
    """Draw it from a small run and a small study made below ``folder``; fails with the reason."""
    assert picture.caption.endswith("."), f"{picture.name}: its caption must be a sentence"
    assert (picture.each is not None) == ("{}" in picture.caption), f"{picture.name}: each goes with {{}}"
    assert (picture.run, picture.study) != (None, None), f"{picture.name}: is on no page"
    if picture.run is not None:
        _check_run(picture, folder / "run")
    if picture.study is not None:
        _check_study(picture, folder / "study")


def _check_run(picture: Picture, folder: Path) -> None:
    for basis in BASES:
        figures = _drawn(picture, sample_run(folder / basis, basis))
        changed = _drawn(picture, sample_run(folder / f"dearer-{basis}", basis, dearer=True))
        _check_kind_is_said(figures, changed, [basis])
    for width in _widths(picture):
        _check_readable(_drawn(picture, sample_run(folder / "charged", "charged"), width))


def _check_study(picture: Picture, folder: Path) -> None:
    _drawn(picture, empty_study(folder / "empty"))
    alone: list[Shape] = []
    for basis in BASES:
        figures = _drawn(picture, sample_study(folder / basis, [basis]))
        changed = _drawn(picture, sample_study(folder / f"dearer-{basis}", [basis], dearer=True))
        _check_kind_is_said(figures, changed, [basis])
        alone += [shape for figure in figures.values() for shape in _shapes(figure)]
    mixed = sample_study(folder / "mixed")
    figures = _drawn(picture, mixed)
    _check_kind_is_said(figures, _drawn(picture, sample_study(folder / "dearer", dearer=True)), BASES)
    _check_nothing_mixes(figures, alone)
    for width in _widths(picture):
        _check_readable(_drawn(picture, mixed, width))


def _widths(picture: Picture) -> tuple[float, ...]:
    return (PAGE_INCHES,) if picture.broad else (COLUMN_INCHES, PAGE_INCHES)


def _drawn(picture: Picture, folder: Folder, width: float | None = None) -> dict[str, Figure]:
    """Caption and figure of all that apply; at the width of the page if none is given."""
    found = {}
    for drawing in drawings(folder):
        if drawing.picture != picture:
            continue
        try:
            found[drawing.caption] = drawing.on_page() if width is None else drawing.draw(width)
        except FedMFError as error:
            if not str(error) or "\n" in str(error):
                pytest.fail(f"{picture.name}: must say in one line why it does not apply: {error}")
    return found


def _check_readable(figures: dict[str, Figure]) -> None:
    """Drawn without a warning, nothing cut at an edge, axes that say what they are and have ticks."""
    for caption, figure in figures.items():
        width, height = figure.get_size_inches()
        name = f"{caption} at {width:.1f} inches"
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a layout that has no room, a glyph that is missing
            FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        drawn = figure.get_tightbbox()
        outside = max(-drawn.x0, -drawn.y0, drawn.x1 - width, drawn.y1 - height)
        assert outside <= _SLACK_INCHES, f"{name}: {outside:.2f} inches are cut off at an edge"
        plots = sum(axes.get_window_extent().height for axes in figure.axes)
        for legend in (*figure.legends, *(one for axes in figure.axes if (one := axes.get_legend()))):
            taller = legend.get_window_extent().height > plots
            assert not taller, f"{name}: a legend is taller than what it explains"
        for axes in figure.axes:
            _check_axes(axes, name)


def _check_axes(axes: Any, name: str) -> None:
    assert axes.get_title(loc="left") or axes.get_title() or axes.get_ylabel(), f"{name}: nameless axes"
    labels = [label for line in axes.lines if not (label := str(line.get_label())).startswith("_")]
    assert len(set(labels)) == len(labels), f"{name}: two lines have the same name"
    for direction, axis in enumerate((axes.xaxis, axes.yaxis)):
        boxes = _tick_boxes(axis)
        values = {point[direction] for line in axes.lines for point in _points(line)}
        assert len(boxes) >= min(2, len(values)), f"{name}: an axis has {len(boxes)} ticks"
        for before, after in itertools.pairwise(boxes):
            assert not before.overlaps(after), f"{name}: labels of an axis touch"


def _tick_boxes(axis: Any) -> list[Any]:
    """Where the labels of an axis stand, in order, without those beyond its limits."""
    low, high = sorted(axis.get_view_interval())
    ticks = zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=True)
    return [
        (tick.label1 if tick.label1.get_visible() else tick.label2).get_window_extent()  # 2: on the right
        for at, tick in ticks
        if low <= at <= high
    ]


def _points(line: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in line.get_xydata()]


def _check_kind_is_said(figures: dict[str, Figure], dearer: dict[str, Figure], bases: Sequence[str]) -> None:
    """Charged and estimated costs are called that; measured ones are called neither."""
    for caption, figure in figures.items():
        said = " ".join(_texts(figure))
        for basis in BASES[1:]:
            if basis not in bases:
                assert basis not in said, f"{caption} no figure is {basis}, but it says so: {said}"
            elif caption in dearer and _content(figure) != _content(dearer[caption]):
                assert basis in said, f"{caption} shows {basis} costs and does not say so: {said}"


def _check_nothing_mixes(figures: dict[str, Figure], alone: Sequence[Shape]) -> None:
    """Each line and bar of all kinds together is one that a kind alone has, too."""
    for caption, figure in figures.items():
        for shape in _shapes(figure):
            pure = any(len(shape) == len(other) and _close(shape, other) for other in alone)
            assert pure, f"{caption} has a line or bar of no single kind: {shape}"


def _close(one: Shape, other: Shape) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a == pytest.approx(b, rel=1e-6, abs=1e-9) for a, b in pairs)


def _shapes(figure: Figure) -> set[Shape]:
    """Lines as their points; bars as start and length, for their place depends on the other bars."""
    found: set[Shape] = set()
    for axes in figure.axes:
        for line in axes.lines:
            found.add(tuple(_points(line)))
        for bar in axes.patches:
            if isinstance(bar, Rectangle):
                found.add(((float(bar.get_x()), float(bar.get_width())),))
    return {tuple((round(x, 9), round(y, 9)) for x, y in shape) for shape in found if shape}


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def _content(figure: Figure) -> tuple[set[Shape], list[str]]:
    return _shapes(figure), _texts(figure)
