"""Measurements of the whole product beside the thing it wraps: speech, chat, memory. See docs/performance.md."""
