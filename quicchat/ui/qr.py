"""A QR code as rows of half blocks, two modules to a letter. (spec 12-operation)"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

#: Modules that stay light around it.
_BORDER: Final = 2
#: By the upper and the lower module, whether each is dark.
_BLOCKS: Final = {(0, 0): "\u2588", (0, 1): "\u2580", (1, 0): "\u2584", (1, 1): " "}


def rows(text: str) -> Sequence[str]:
    """The picture of a text, light modules drawn: right on a dark ground. Empty where segno is not installed."""
    if find_spec("segno") is None:
        return ()
    import segno

    matrix = [[int(each) for each in row] for row in segno.make(text, micro=False).matrix_iter(border=_BORDER)]
    if len(matrix) % 2:
        matrix.append([0] * len(matrix[0]))
    pairs = zip(matrix[::2], matrix[1::2], strict=True)
    return ["".join(_BLOCKS[each] for each in zip(upper, lower, strict=True)) for upper, lower in pairs]
