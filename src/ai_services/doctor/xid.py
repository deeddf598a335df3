"""NVIDIA's Xid codes in plain words: what it means, and what to do.

Source: NVIDIA, "XID Errors" (docs.nvidia.com/deploy/xid-errors), the tables of common codes and of the recommended
action for each; read November 2026. `grave`: the GPU does not work again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Xid:
    """One code: what happened, what to do, and whether the GPU stays unusable until somebody acts."""

    meaning: str
    todo: str
    grave: bool


_APPLICATION = "Restart the container that used the GPU; if it comes again, update the image or the driver."
_RESET = "Stop the stack and reset the GPU (`nvidia-smi --gpu-reset`), or reboot."
_HARDWARE = "Reboot; if it comes again, the card is failing: replace it."
_SEATING = "Power the machine off, check seating, power cables, riser and cooling of the card; then the power supply."

XIDS: dict[int, Xid] = {
    8: Xid("the GPU stopped processing: a command ran too long", _APPLICATION, False),
    13: Xid("a program on the GPU failed (graphics engine exception)", _APPLICATION, False),
    31: Xid("a program touched GPU memory that is not its own (page fault)", _APPLICATION, False),
    32: Xid(
        "a broken command reached the GPU (corrupt push buffer)", "Check the card's seating; update driver.", False
    ),
    38: Xid("the driver's firmware failed", _RESET, True),
    43: Xid("a program on the GPU was stopped after its own error", _APPLICATION, False),
    44: Xid("a fault in the GPU's graphics engine during a context switch", _RESET, True),
    45: Xid(
        "work on the GPU was ended, as a consequence of another error or of a kill", "Look for an earlier Xid.", False
    ),
    46: Xid("the GPU stopped processing", _RESET, True),
    48: Xid("an uncorrectable memory error (double-bit ECC)", _HARDWARE, True),
    56: Xid("the display engine failed", _HARDWARE, True),
    57: Xid("the memory interface failed to train", _HARDWARE, True),
    58: Xid("unstable clocks or memory timing", _HARDWARE, True),
    61: Xid("the GPU's internal controller stopped (breakpoint)", _RESET, True),
    62: Xid("the GPU's internal controller halted", _RESET, True),
    63: Xid(
        "a bad row of memory is to be replaced by a spare one",
        "Reboot when convenient, so that it takes effect.",
        False,
    ),
    64: Xid("a bad row of memory could not be replaced by a spare one", _HARDWARE, True),
    68: Xid("the video decoder failed", _APPLICATION, False),
    69: Xid("a program on the GPU failed (graphics engine class error)", _APPLICATION, False),
    74: Xid("an error on the NVLink between cards", "Reseat the bridge between the cards; " + _HARDWARE.lower(), True),
    79: Xid("the GPU has fallen off the bus: the machine cannot reach the card any more", _SEATING, True),
    92: Xid("many corrected memory errors in a short time", "Watch it; replace the card if the number grows.", False),
    94: Xid(
        "a contained memory error: only the program it hit was ended", "Restart that container; reboot soon.", False
    ),
    95: Xid("an uncontained memory error: everything on the GPU is in doubt", _RESET, True),
    109: Xid("a switch between programs on the GPU timed out", _RESET, True),
    110: Xid("a security fault in the GPU", _HARDWARE, True),
    119: Xid("the GPU's system processor (GSP) gave no answer", _RESET + " A newer driver may mend it.", True),
    120: Xid("the GPU's system processor (GSP) failed", _RESET + " A newer driver may mend it.", True),
    140: Xid("an uncorrectable memory error", _RESET, True),
    143: Xid("the GPU could not be initialised", _HARDWARE, True),
    154: Xid("the driver asks for a recovery of the GPU; its message names the kind", _RESET, True),
}

UNKNOWN = Xid("an error that is not in the doctor's table", "Look the number up in NVIDIA's list of Xid errors.", True)


def explain(code: int) -> Xid:
    """Return what is known about a code."""
    return XIDS.get(code, UNKNOWN)
