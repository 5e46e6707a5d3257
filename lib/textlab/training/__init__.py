"""From a recipe to a fitted model, and the answers of a model."""

from .callbacks import Progress
from .cost import padded_tokens, work
from .fitting import Fit, Resumable, Unsaved, build, fit
from .inference import Classifier, load_classifier, probabilities
from .layers import layers_of
from .model import attention_of, load_model, load_tokenizer, prepare, read_model, save, suit, weights_sha256
from .speedups import FrozenMemory
