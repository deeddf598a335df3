"""`./ai test`: every check of this repository behind one command, from the formatter to the real stack.

`run` is the public door. Phases stand in one table (`phases.py`); what a phase does is a command line or a Python
function; how it is told is in `report.py`.
"""

from ai_services.checks.runner import run

__all__ = ["run"]
