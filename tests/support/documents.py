"""What documents show: their commands, and their blocks of code."""

import re
import shlex
import textwrap

FIRST_WORDS = ("conda", "export", "fedmf-ray", "make", "pip", "python", "ray", "source")


def documents(root):
    """Every page that tells somebody to type something, but for the guide to clusters of ``deploy/``, which
    has tests of its own."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(text):
    """Blocks of code, fenced or indented, without their indentation."""
    fenced = r"^```\w*\n(.*?)^```"
    yield from (match[1] for match in re.finditer(fenced, text, re.MULTILINE | re.DOTALL))
    rest = re.sub(fenced, "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?:^|\n\n)((?: {4}.*\n(?:\n(?= {4}))?)+)", rest):
        yield textwrap.dedent(block)


def commands(text):
    """The words of each command in the blocks of a text; variables before it are left out."""
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line.strip())
            if line.partition(" ")[0] in FIRST_WORDS:
                for one in line.partition("  #")[0].split("; "):
                    yield tuple(shlex.split(one, comments=True))


def block_with(text, word):
    """The one block that has a word in it."""
    (found,) = [block for block in blocks(text) if word in block]
    return found
