"""Derivation documents: what was derived, as Markdown, LaTeX, plain text and JSON."""

from symgru.documents.article import article
from symgru.documents.derivation import derivation, derivation_of
from symgru.documents.json_form import json_form
from symgru.documents.markdown import markdown
from symgru.documents.model import Document, Equation, Formula, Group, Section
from symgru.documents.plain_text import plain_text

#: Renderings by the name of their format.
FORMATS = {"markdown": markdown, "latex": article, "text": plain_text, "json": json_form}

__all__ = [
    "FORMATS",
    "Document",
    "Equation",
    "Formula",
    "Group",
    "Section",
    "article",
    "derivation",
    "derivation_of",
    "json_form",
    "markdown",
    "plain_text",
]
