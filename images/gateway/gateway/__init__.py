"""The only entrance: decides who may, which backend and when, then gets out of the way of the bytes."""

from importlib.metadata import version

__version__ = version("gateway")
