# The public names; __init__.py reads them from here.
from .cohort.cohort import detect_many
from .cohort.detect import detect
from .detection.tissue import find_tissue
from .door import Options, evaluate, load_model, models, sample, train
from .errors import FastNetError
from .results.loading import load
from .slide.slide import open_slide

__version__: str

__all__ = [
    "FastNetError",
    "Options",
    "__version__",
    "detect",
    "detect_many",
    "evaluate",
    "find_tissue",
    "load",
    "load_model",
    "models",
    "open_slide",
    "sample",
    "train",
]
