"""One thread for the tiny models: with two, they wait for each other longer than they compute when the machine is busy."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Let torch compute with one thread in unit tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
