"""Any source of texts as one DatasetDict with a quality report, and its tokens."""

from .dataset import Data, balance, check, load, samples
from .readers import stream_texts
from .reading import common_length, read
from .tokens import lengths, row_lengths, tokenize
