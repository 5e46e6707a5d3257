"""Any source of texts as one DatasetDict with a quality report, and its tokens."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [],
    {
        "dataset": ["Data", "balance", "label_words", "labelled_texts", "load", "samples", "scored_on"],
        "label_sets": ["written"],
        "readers": ["stream_rows", "stream_texts"],
        "reading": ["common_length", "read"],
        "source": ["check", "form_of"],
        "splits": ["drawn_by_class"],
        "tokens": ["lengths", "row_lengths", "tokenize"],
        "word_count": ["count_words"],
    },
)
