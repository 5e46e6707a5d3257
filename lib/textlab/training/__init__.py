"""From a recipe to a fitted model, and the answers of a model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["text_kind"],
    {
        "attribution": ["deletions", "without_words", "word_weights"],
        "callbacks": ["Progress"],
        "cost": ["padded_tokens", "work"],
        "cross_validation": ["decided", "train_and_answer"],
        "fewer_rows": ["FewerRows"],
        "fitting": ["Fit", "Resumable", "Unsaved", "build", "fit", "fit_tokenizer"],
        "inference": ["Classifier", "answers_of", "load_classifier", "probabilities"],
        "layers": ["layers_of"],
        "loading": ["gives_several"],
        "linear_probe": ["Probe"],
        "model": [
            "attention_of",
            "load_model",
            "load_tokenizer",
            "prepare",
            "read_model",
            "save",
            "settle",
            "suit",
            "weights_sha256",
        ],
        "frozen_memory": ["FrozenMemory"],
    },
)
