"""Set encoder, graph encoder, generator, predictor: what must and must not change, and plain loops beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from colonnade.nas import Architecture, Macro, NasError, cells, ensemble
from colonnade.nas.features import Description
from colonnade.nas.generator import Drawn, Generator, divergence, quality
from colonnade.nas.graphs import NODES, TYPES, GraphEncoder, Recurrence, node_types, topology
from colonnade.nas.predictor import Predictor, from_logit, logit
from colonnade.nas.sets import Attention, SetEncoder, SetPool, pad
from colonnade.nas.statistics import NAMES


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def described(classes: int = 6, seed: int = 0) -> Description:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(classes, 9, 12, generator=generator)
    return Description(features, torch.randn(len(NAMES), generator=generator), classes, 3)


def test_a_set_has_no_order() -> None:
    encoder, x = SetEncoder(12), torch.randn(6, 9, 12)
    whole = encoder(x)
    assert torch.allclose(whole, encoder(x[torch.randperm(6)][:, torch.randperm(9)]), atol=1e-5)
    assert not torch.allclose(whole, encoder(torch.cat([x, x[:1], x[:1]])), atol=1e-4)  # a class thrice is another set
    mixed = x.flatten(0, 1)[torch.randperm(54)].view(6, 9, 12)
    assert not torch.allclose(whole, encoder(mixed), atol=1e-4)  # images in other classes are another set


def test_padding_changes_nothing() -> None:
    encoder, x = SetEncoder(12), torch.randn(6, 9, 12)
    batch, mask = pad([x, x[:2]])
    assert torch.allclose(encoder(batch, mask), torch.cat([encoder(x), encoder(x[:2])]), atol=1e-5)


def test_attention_is_the_formula() -> None:
    """Against the published block, written out in numpy in double precision."""
    block = Attention(5, 5, 8, heads=2).double()
    x = torch.randn(1, 4, 5, dtype=torch.float64)
    q, k, v = ((x[0] @ layer.weight.T + layer.bias).detach().numpy() for layer in (block.query, block.key, block.value))
    parts = []
    for head in range(2):
        h = slice(4 * head, 4 * head + 4)
        weights = np.exp(q[:, h] @ k[:, h].T / np.sqrt(8))
        parts.append(q[:, h] + (weights / weights.sum(1, keepdims=True)) @ v[:, h])
    made = np.concatenate(parts, 1)
    expected = made + np.maximum(made @ block.out.weight.detach().numpy().T + block.out.bias.detach().numpy(), 0)
    assert np.allclose(block(x, x)[0].detach().numpy(), expected, atol=1e-12)


def test_a_pool_gives_one_vector() -> None:
    assert SetPool(12, 8, 5)(torch.randn(3, 7, 12)).shape == (3, 5)


def plain_encoding(encoder: GraphEncoder, types: list[int], edges: np.ndarray) -> torch.Tensor:
    """Node by node, one graph, with torch's own recurrent cell and one-hot vectors."""

    def run(part: Recurrence, backward: bool) -> torch.Tensor:
        states: dict[int, torch.Tensor] = {}
        order = range(len(types) - 1, -1, -1) if backward else range(len(types))
        for node in order:
            received = torch.zeros(1, part.hidden, dtype=torch.float64)
            for other in range(len(types)):
                if other in states and (edges[node, other] if backward else edges[other, node]):
                    joined = torch.cat([states[other], torch.eye(part.nodes, dtype=torch.float64)[other][None]], 1)
                    received = received + torch.sigmoid(part.gate(joined)) * part.map(joined)
            states[node] = part.cell(torch.eye(TYPES, dtype=torch.float64)[types[node]][None], received)
        return states[node]

    ends = torch.cat([run(encoder.forwards, False), run(encoder.backwards, True)], 1)
    return encoder.out(encoder.unify(ends))


def test_the_graph_encoder_is_a_loop_over_nodes() -> None:
    encoder = GraphEncoder(16, 7).double()
    rng = np.random.default_rng(0)
    numbers = rng.choice(cells.COUNT, 12)
    types = node_types(cells.every_cell()[numbers])
    edges = np.triu(rng.random((12, NODES, NODES)) < 0.5, 1)
    own, given = encoder(types), encoder(types, torch.from_numpy(edges))
    for i in range(12):
        assert torch.allclose(own[i], plain_encoding(encoder, types[i].tolist(), topology())[0], atol=1e-6)
        assert torch.allclose(given[i], plain_encoding(encoder, types[i].tolist(), edges[i])[0], atol=1e-6)


def test_all_cells_at_once_are_the_same_as_one_by_one() -> None:
    encoder = GraphEncoder(12, 5)
    with torch.no_grad():
        assert torch.allclose(encoder.every_cell(), encoder(node_types(cells.every_cell())), atol=1e-5)


def test_gradients_of_the_graph_encoder() -> None:
    encoder = GraphEncoder(4, 3).double()
    types = node_types(cells.every_cell()[[17, 9000]])

    def out(weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(encoder, {"forwards.gate.weight": weight}, (types,)).sum()

    assert torch.autograd.gradcheck(out, encoder.forwards.gate.weight.detach().requires_grad_())


def test_divergence_is_the_closed_form() -> None:
    mean, log_variance = torch.randn(5, 16), torch.randn(5, 16)
    exact = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5, 16), torch.ones(5, 16))).sum(1)
    assert torch.allclose(divergence(mean, log_variance), exact, atol=1e-5)


def test_masked_drawing_is_always_valid() -> None:
    generator = Generator(12)  # untrained: nothing but the mask makes it valid
    drawn = generator.draw(torch.randn(300, generator.latent), torch.Generator().manual_seed(1))
    found = quality(drawn, set())
    assert found.validity == 100 and found.novelty == 100 and found.uniqueness > 50
    free = generator.draw(torch.randn(300, generator.latent), torch.Generator().manual_seed(1), masked=False)
    assert quality(free, set()).validity < 50


def test_quality_counts() -> None:
    types = node_types(cells.every_cell()[[7, 7, 8, 9]])
    edges = torch.from_numpy(topology()).repeat(4, 1, 1)
    edges[3, 0, 1] = False
    found = quality(Drawn(types, edges, torch.zeros(4, 3, dtype=torch.int64)), {8})
    assert (found.validity, round(found.uniqueness, 2), round(found.novelty, 2)) == (75.0, 66.67, 66.67)


def test_a_generator_learns_and_draws_as_likely_as_it_says() -> None:
    generator = Generator(12, hidden=16, latent=4)
    wanted = [Architecture(i, Macro(8, 2, 16)) for i in (777, 12_345)]
    z = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    optimiser = torch.optim.Adam(generator.parameters(), 2e-2)
    for _ in range(150):
        loss = generator.negative_log_likelihood(z, wanted).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    said = torch.exp(-generator.negative_log_likelihood(z, wanted)).detach()
    assert (said > 0.1).all()
    n = 400
    for place, architecture in enumerate(wanted):
        drawn = generator.draw(z[place].expand(n, -1), torch.Generator().manual_seed(place), masked=False)
        share = sum(a == architecture for a in drawn.architectures()) / n
        assert abs(share - float(said[place])) < 4 * (0.25 / n) ** 0.5


def test_logits_go_there_and_back() -> None:
    assert np.allclose(from_logit(logit(np.array([5.0, 50.0, 95.0]))), [5, 50, 95])
    assert np.isfinite(logit(np.array([0.0, 100.0]))).all()


def test_a_blind_predictor_sees_no_data_set() -> None:
    predictor = Predictor(12, blind=True).eval()
    assert torch.equal(predictor.describe([described(seed=1)]), predictor.describe([described(seed=2)]))
    seeing = Predictor(12).eval()
    assert not torch.equal(seeing.describe([described(seed=1)]), seeing.describe([described(seed=2)]))


def model(seed: int = 0) -> ensemble.MetaModel:
    rng = np.random.default_rng(seed)
    residuals = tuple(rng.normal(rng.normal(0, 1), 0.3, 30).astype(np.float32) for _ in range(20))
    return ensemble.MetaModel(
        "small", tuple(Predictor(12).eval() for _ in range(2)), Generator(12).eval(),
        torch.randn(20, len(NAMES)), residuals, frozenset({3, 4}), {"note": 1},
    )  # fmt: skip


def test_models_are_saved_and_read_back(tmp_path: Path) -> None:
    own = model()
    ensemble.save(own, tmp_path / "m.safetensors")
    read = ensemble.load(tmp_path / "m.safetensors")
    listed = [Architecture(i, Macro(8, 1, 16)) for i in (5, 600, 15_000)]
    one, two = own.predict(listed, described()), read.predict(listed, described())
    assert np.allclose(one.standing, two.standing, atol=5e-3) and one.margin == pytest.approx(two.margin, abs=1e-6)
    assert read.known == own.known and read.notes == own.notes
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(NasError, match="cannot be read as safetensors"):
        ensemble.load(tmp_path / "bad.safetensors")


def test_scoring_all_is_scoring_each() -> None:
    own, seen = model(), described()
    macros = [Macro(4, 1, 8), Macro(8, 2, 16)]
    numbers = cells.searchable()[::200]
    every = own.predict_all(macros, seen, numbers)
    each = own.predict([Architecture(int(n), m) for m in macros for n in numbers], seen)
    assert np.allclose(every.standing, each.standing, atol=1e-5)
    assert np.allclose(every.lower, each.lower, atol=1e-3)


def test_intervals_hold_for_new_tasks() -> None:
    """Of tasks like those of the calibration, nine in ten accuracies lie inside the intervals."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        tasks = [rng.normal(rng.normal(0, 1), 0.3, 30) for _ in range(21)]
        covered.append(np.mean(np.abs(tasks[-1]) <= ensemble.quantile(tasks[:-1], 0.9)))
    assert 0.86 <= np.mean(covered) <= 0.94


def test_a_stranger_is_told_and_its_intervals_are_wider() -> None:
    own, seen = model(), described()
    far = Description(seen.features, seen.statistics + 30, seen.classes, seen.channels)
    listed = [Architecture(600, Macro(8, 1, 16))]
    assert own.distance(seen) < 2 < own.distance(far)
    assert own.predict(listed, far).margin > own.predict(listed, seen).margin
