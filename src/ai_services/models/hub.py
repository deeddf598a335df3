"""Downloading from Hugging Face."""

from __future__ import annotations

from pathlib import Path

from ai_services.console import Screen
from ai_services.models.resolve import Reference


def download(reference: Reference, models: Path, screen: Screen) -> Path:
    """Fetch."""
    raise NotImplementedError
