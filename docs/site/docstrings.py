"""Converts docstrings for the site."""

import re

import griffe

# Sections of this project's docstrings that griffe does not support under these names.
SECTIONS = {
    "Example:": "Examples:",
    "Call arguments:": "Other Parameters: Call arguments:",
}
REFERENCE = re.compile(r"^Reference: (.+?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class Sections(griffe.Extension):
    """Replaces section names by griffe's."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = converted(obj.docstring.value)


def converted(text):
    """A docstring with griffe's section names."""
    for old, new in SECTIONS.items():
        text = re.sub(rf"^{re.escape(old)}$", new, text, flags=re.MULTILINE)
    text = text.replace("$$\n$$", "$$\n\n$$")  # each equation in a separate paragraph
    return REFERENCE.sub(r"**Reference:** \1", text)
