"""From a recipe to a fitted model, and the answers of a model."""

from .callbacks import Progress
from .cost import padded_tokens, work
from .fitting import Fit, KeepBest, KeepLast, build, fit
from .inference import Classifier, load_classifier, probabilities
from .model import attention_of, freeze, load_model, load_tokenizer, prepare, read_model, save, weights_sha256
from .speedups import FrozenMemory, first_token_only, layers_of
from .trainer import SimilarLengthSampler, TextTrainer
