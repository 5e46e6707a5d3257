"""The contrastive term, its value by hand, and what it does in a training."""

import math

import pytest
import torch
from transformers import BartConfig, BartForSequenceClassification, BertConfig, BertForSequenceClassification

from textlab.errors import InputError
from textlab.training.contrast import TEMPERATURE, Contrast, contrastive_loss

LABELS = torch.tensor([0, 0, 1])


def test_the_term_is_what_the_paper_says():
    states = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0]])  # cosines: 0.707 (0-1), 0 (0-2), 0.707 (1-2)
    near = math.exp(math.sqrt(0.5) / TEMPERATURE)
    first, second = -math.log(near / (near + 1)), -math.log(0.5)  # the third text has none of its label
    assert contrastive_loss(states, LABELS).item() == pytest.approx((first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_a_batch_without_a_pair_adds_nothing(labels):
    states = torch.randn(len(labels), 4, requires_grad=True)
    loss = contrastive_loss(states, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0 and not states.grad.any()


def test_padding_does_not_count():
    torch.manual_seed(0)
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20)
    model, contrast, losses = BertForSequenceClassification(config).eval(), Contrast(), []
    for width in (4, 9):
        ids = torch.zeros(3, width, dtype=torch.long)
        ids[:, :4] = torch.tensor([[1, 5, 6, 2], [1, 7, 8, 2], [1, 9, 4, 2]])
        with contrast.watching(model):
            model(input_ids=ids, attention_mask=(ids > 0).long())
            losses.append(contrast.loss(LABELS).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_model_without_states_of_tokens_is_refused():
    config = BartConfig(
        vocab_size=20,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
    )
    model = BartForSequenceClassification(config)
    with pytest.raises(InputError, match="contrastive: it cannot be computed for a model of type bart; set it to 0"):
        with Contrast().watching(model):
            pass
