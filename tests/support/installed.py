"""A distribution that looks installed, for tests of plug-ins."""


def install(folder, monkeypatch, name, version, entry_points):
    """Put a distribution on the search path until the test is over. entry_points: for each group, what is
    offered by name, as ``module:object``."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
