"""textlab: from the Hugging Face Hub to a registered, trustworthy text classifier.

The rooms, each of which imports only from those before it: errors, machine, settings, hub, data, evaluation, training,
tracking, notebooks, workflows, __main__. Importing the package does no work.
"""


def __getattr__(name: str):
    if name == "predict":
        from .workflows import predict  # on demand: it needs torch, and importing the package must not

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
