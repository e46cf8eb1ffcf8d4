"""Short names of array types, by the kind of their values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Indices = NDArray[np.intp]
Integers = NDArray[np.int64]
#: float32, as probabilities are.
Singles = NDArray[np.float32]
#: float64.
Floats = NDArray[np.float64]
