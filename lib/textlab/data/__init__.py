"""Any source of texts as one DatasetDict with a quality report, and its tokens."""

from . import corpus
from .dataset import Data, balance, check, load, samples
from .readers import stream_texts
from .reading import read
from .tokens import lengths, row_lengths, tokenize
