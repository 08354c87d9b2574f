from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("sentence_transformers", reason="needs the extra `train`")

from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: E402

from toolbench.encoder import Encoder  # noqa: E402
from toolbench.retriever.loss import CachedRankingLoss, RankingLoss, ranking  # noqa: E402

QUERIES = ["find the weather", "the moon please", "tax", "song of the artist for the city"]
DOCUMENTS = ["rain in a city", "phase of the moon for a date please", "rate", "lyrics of a song", "income", "date"]


@pytest.fixture
def model(tiny_base: str) -> Any:
    return Encoder.load(tiny_base, 16).model.eval()  # without dropout: two losses see the same model


def _features(model: Any, texts: list[str]) -> Any:
    return {k: v for k, v in model.preprocess(texts).items() if k != "modality"}


def _gradients(model: Any, loss: Any) -> list[Any]:
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_with_one_document_a_query_it_is_the_multiple_negatives_ranking_loss(model: Any) -> None:
    labels = torch.tensor([[int(i == j) for j in range(6)] for i in range(4)])
    theirs = MultipleNegativesRankingLoss(model)
    three = [_features(model, t) for t in (QUERIES[:2], DOCUMENTS[:2], DOCUMENTS[2:4])]
    ours = RankingLoss(model, 20.0, chunk=3)
    two = [_features(model, t) for t in (QUERIES[:2], DOCUMENTS[:4])]
    expected, found = theirs(three, labels), ours(two, labels[:2, :4])
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(_gradients(model, found), _gradients(model, theirs(three, labels)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_what_is_relevant_is_no_negative() -> None:
    queries, documents = torch.eye(3)[:1], torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 1, 0]])
    alone = ranking(queries, documents[[0, 2]], torch.tensor([[1, 0]]), 20.0)
    masked = ranking(queries, documents, torch.tensor([[1, -1, 0]]), 20.0)
    taken_for_negative = ranking(queries, documents, torch.tensor([[1, 0, 0]]), 20.0)
    assert masked.item() == pytest.approx(alone.item())
    assert taken_for_negative.item() > masked.item() + 0.1
    both = ranking(queries, documents, torch.tensor([[1, 1, 0]]), 20.0)
    second = ranking(queries, documents[[1, 2]], torch.tensor([[1, 0]]), 20.0)
    assert both.item() == pytest.approx((alone.item() + second.item()) / 2)


def test_a_query_without_negatives_costs_nothing_and_breaks_nothing() -> None:
    queries = torch.eye(2, requires_grad=True)
    loss = ranking(queries, torch.eye(2), torch.tensor([[1, -1], [-1, 1]]), 20.0)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(queries.grad).all()


def test_chunks_and_cached_gradients_change_nothing(model: Any) -> None:
    labels = torch.tensor([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, -1], [0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]])

    def features() -> list[Any]:
        return [_features(model, QUERIES), _features(model, DOCUMENTS)]

    whole = RankingLoss(model, 20.0, chunk=100)(features(), labels)
    expected, gradients = whole.item(), _gradients(model, whole)
    for other in (RankingLoss(model, 20.0, chunk=2), CachedRankingLoss(model, 20.0, chunk=2)):
        loss = other(features(), labels)
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        for one, two in zip(gradients, _gradients(model, loss), strict=True):
            assert torch.allclose(one, two, atol=1e-5)


def test_leading_dimensions_are_trained_as_well(model: Any) -> None:
    queries, documents, labels = torch.randn(3, 8), torch.randn(3, 8), torch.eye(3)
    parts = [ranking(queries[:, :n], documents[:, :n], labels, 20.0).item() for n in (8, 4, 2)]
    assert ranking(queries, documents, labels, 20.0, (4, 2)).item() == pytest.approx(sum(parts) / 3)
