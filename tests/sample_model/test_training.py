"""What the training script rests on: data order, schedule, optimizers, balance, resuming."""

import numpy as np
import pytest
import torch
from transformers import GptOssForCausalLM

from sample_model.balance import TARGET_USE, balance_loss, expert_use, target_use
from sample_model.config import TRAINING_CONTEXT, sample_config
from sample_model.dataset import Dataset
from sample_model.optimizer import build_optimizers, orthogonalize, schedule
from sample_model.train import load_state, save_state, train_step


@pytest.fixture
def dataset() -> Dataset:
    tokens = np.random.default_rng(0).integers(3072, size=20_000, dtype=np.uint16)
    return Dataset(tokens, seed=7)


def test_an_epoch_shows_every_window_once_and_the_next_another_order(dataset):
    per_epoch = len(dataset.tokens) // TRAINING_CONTEXT - 1
    first = dataset.windows(0, per_epoch)
    assert len(np.unique(first, axis=0)) == per_epoch
    assert not np.array_equal(first, dataset.windows(per_epoch, per_epoch))
    assert np.array_equal(first[5:7], dataset.windows(5, 2))


def test_the_schedule_warms_up_stays_and_ends_near_zero():
    factors = [schedule(step, steps=1000) for step in range(1000)]
    assert factors[0] < 0.1
    assert factors[100] == factors[600] == 1.0
    assert 0 < factors[-1] < 0.01


def test_before_the_decay_the_schedule_does_not_depend_on_the_length():
    assert [schedule(s, steps=900) for s in range(600)] == [
        schedule(s, steps=2000) for s in range(600)
    ]


def test_orthogonalized_matrices_have_singular_values_near_one():
    matrices = torch.randn(3, 40, 24, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(orthogonalize(matrices).float())
    assert singular.min() > 0.5
    assert singular.max() < 1.3


def test_balance_loss_is_smallest_where_use_meets_the_target():
    wanted = (target_use(0, torch.device("cpu")) / len(TARGET_USE)).log()
    at_target = balance_loss([sampled_logits(wanted)], k=4)
    uniform = balance_loss([sampled_logits(torch.zeros(16))], k=4)
    assert at_target < uniform


def sampled_logits(log_probability: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return log_probability + torch.randn(4000, 16, generator=generator)


def test_expert_use_counts_the_top_k_over_their_mean():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 0.0, 1.0]])
    assert expert_use(logits, k=2).tolist() == [2.0, 2.0, 0.0, 0.0]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr("sample_model.train.WINDOWS_PER_STEP", 1)
    path = tmp_path / "state.pt"
    model, optimizers = start()
    train_step(model, optimizers, dataset, 0, 10)
    save_state(path, model, optimizers, 1)
    train_step(model, optimizers, dataset, 1, 10)

    resumed, resumed_optimizers = start()
    assert load_state(path, resumed, resumed_optimizers) == 1
    train_step(resumed, resumed_optimizers, dataset, 1, 10)
    for ours, theirs in zip(resumed.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def start() -> tuple[GptOssForCausalLM, list[torch.optim.Optimizer]]:
    torch.manual_seed(0)
    config = sample_config()
    config.num_hidden_layers = 2
    model = GptOssForCausalLM(config).float()
    return model, build_optimizers(model)
