"""What documents say about the program is so: messages, links, sizes, versions."""

import ast
import re

import yaml

from fedmf_ray import __version__
from tests.support.documents import documents


def messages(root):
    """Every text in the code; what a message fills in is a mark."""
    for path in (root / "fedmf_ray").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(one.value if isinstance(one, ast.Constant) else "..." for one in node.values)


def test_every_message_that_troubleshooting_explains_is_in_the_code(root):
    text = (root / "docs" / "how-to" / "troubleshooting.md").read_text()
    entries = re.findall(r"^`([^`]+)`", text, re.MULTILINE)
    entries.remove("command not found: fedmf-ray")  # a shell says it
    known = "\n".join(messages(root)).replace("`", "")
    missing = []
    for entry in entries:
        pieces = [piece.strip(" ,:;()'") for piece in re.split(r"\.\.\.|'\w+'|\(\w+[\w.]*\);", entry)]
        missing += [piece for piece in pieces if len(piece) > 9 and piece not in known]
    assert len(entries) > 25
    assert missing == []


def test_links_between_documents_lead_somewhere(root):
    made = {
        "tutorial.md",
        *(f"reference/{name}.md" for name in ("keys", "files", "commands", "python", "plug-ins")),
    }
    for path in [
        *documents(root),
        root / "SECURITY.md",
        root / "CHANGELOG.md",
        root / "deploy" / "README.md",
    ]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", path.read_text()):
            if target.startswith(("http:", "https:")):
                continue
            place = (path.parent / target).resolve()
            generated = place.is_relative_to(root / "docs") and str(place.relative_to(root / "docs")) in made
            assert place.exists() or generated, (path.name, target)


def test_the_recipes_for_trackers_are_the_examples(root):
    text = (root / "docs" / "how-to" / "trackers.md").read_text()
    for path in (root / "examples").glob("track_*.py"):
        assert path.read_text().split('"""', 2)[2].strip() in text, path.name


def test_the_readme_fits_on_two_screens(root):
    assert (root / "README.md").read_text().count("\n") <= 120


def test_the_navigation_has_every_page(root):
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!ENV", lambda loader, node: None)
    config = yaml.load((root / "mkdocs.yml").read_text(), Loader)

    def pages(entry):
        if isinstance(entry, dict):
            entry = list(entry.values())
        return [entry] if isinstance(entry, str) else [page for one in entry for page in pages(one)]

    listed = set(pages(config["nav"]))
    there = {str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md")}
    assert there <= listed


def test_the_citation_names_this_version_and_the_paper(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert str(citation["version"]) == __version__
    assert citation["cff-version"] == "1.2.0"
    assert [author["family-names"] for author in citation["references"][0]["authors"]] == [
        "Chai",
        "Wang",
        "Chen",
        "Yang",
    ]


def test_the_version_is_one(root):
    assert f'version = "{__version__}"' in (root / "pyproject.toml").read_text()
