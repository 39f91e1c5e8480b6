"""Docstrings as the site shows them."""

import re

import griffe

# `Example:` and `Call arguments:` are sections of this project's docstrings that griffe knows by
# other names, or not at all.
SECTIONS = {
    "Example:": "Examples:",
    "Call arguments:": "Other Parameters: Call arguments:",
}
REFERENCE = re.compile(r"^Reference: (.+?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class Sections(griffe.Extension):
    """Gives sections their usual names."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = converted(obj.docstring.value)


def converted(text):
    """A docstring with the section names that griffe knows."""
    for old, new in SECTIONS.items():
        text = re.sub(rf"^{re.escape(old)}$", new, text, flags=re.MULTILINE)
    text = text.replace("$$\n$$", "$$\n\n$$")  # each equation a paragraph of its own
    return REFERENCE.sub(r"**Reference:** \1", text)
