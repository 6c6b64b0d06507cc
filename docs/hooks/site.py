"""What MkDocs does beyond its own work: adds pages made from code and from the notebook, turns links out of
the documentation into links to the repository, and refuses a site that fetches anything from elsewhere."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import nbformat
import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")
_FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?:https?:)?//[^\s"'>]+"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|alternate|prev|next))[^>]*\bhref=["']?(?:https?:)?//[^\s"'>]+"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^\s"')]+|url\(["']?(?:https?:)?//[^\s"')]+""",
)
"""What a browser fetches without being asked. Links that a reader may follow are not among it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference and the tutorial."""
    for place, page in reference.PAGES.items():
        files.append(File.generated(config, place, content=page()))
    notebook = nbformat.read(Path(config.docs_dir) / "tutorial.ipynb", as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    files.append(File.generated(config, "tutorial.md", content=_without_styles(text)))
    for name, content in resources.get("outputs", {}).items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that leave the documentation go to the repository, if there is one to go to."""

    def elsewhere(link: re.Match[str]) -> str:
        text, target, anchor = link.group(1), link.group(2), link.group(3) or ""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(f"docs/{page.file.src_uri}"), target))
        if place.startswith("docs/"):
            return link.group(0)
        if not (Path(config.docs_dir).parent / place).exists():
            raise PluginError(f"{page.file.src_uri}: links to {place}, which is not there")
        repository = config.extra.get("repository")
        return f"[{text}]({repository.rstrip('/')}/blob/main/{place}{anchor})" if repository else text

    return _LINK.sub(elsewhere, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """The site must work without a network, and tell nobody who reads it."""
    for path in Path(config.site_dir).rglob("*"):
        text = path.read_text(encoding="utf-8") if path.suffix in (".html", ".css") else ""
        if found := _FETCHED.search(text):
            raise PluginError(f"{path}: fetches something from elsewhere: {found.group(0)[:200]}")


def _without_styles(text: str) -> str:
    """Tables of pandas bring a style of their own for each; the theme has one."""
    text = re.sub(r"<style scoped>.*?</style>\n?", "", text, flags=re.DOTALL)
    return text.replace('<table border="1" class="dataframe">', "<table>").replace(
        '<tr style="text-align: right;">', "<tr>"
    )
