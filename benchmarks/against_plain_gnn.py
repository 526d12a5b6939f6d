"""Training of the GNN world model against the straightforward form of the same model, at equal loss (CPU time).

Straightforward: frames kept as float32 NCHW pictures of both times, a 10x10 convolution of stride 10, each frame
encoded by a call of its own, and the edge network applied to every concatenated pair of slots. Both start from the
same weights, see the same batches, and compute the same function, so their losses must agree.
"""

import time

import numpy as np
import torch
from torch.nn import functional as F

from colonnade.causal import PhysicsWorld, WorldModel
from colonnade.causal.training import infonce
from colonnade.causal.transitions import action_slots

BATCH, UPDATES = 256, 12


def plain_encode(model, frames):
    eyes = model.eyes
    kernel = eyes.look.weight.view(-1, 10, 10, 3).permute(0, 3, 1, 2)
    maps = F.conv2d(frames, kernel, eyes.look.bias, stride=10)
    batch, channels = maps.shape[:2]
    flat = eyes.norm(maps.permute(0, 2, 3, 1).reshape(-1, channels)).relu()
    seen = torch.sigmoid(eyes.map(flat)).view(batch, 25, -1).transpose(1, 2)
    return model.head(seen)


def plain_gnn(gnn, z, action):
    n = gnn.slots
    x = torch.cat([z, gnn.identity.expand(len(z), -1, -1)], 2)
    weight = torch.cat([gnn.sender.weight, gnn.receiver.weight], 1)
    pairs = [(i, j) for j in range(n) for i in range(n) if i != j]
    joined = torch.cat([torch.cat([x[:, i], action[:, i], x[:, j]], 1)[:, None] for i, j in pairs], 1)
    messages = gnn.edge_out(gnn.edge(F.linear(joined, weight, gnn.sender.bias)))
    total = torch.stack([messages[:, [k for k, p in enumerate(pairs) if p[1] == j]].sum(1) for j in range(n)], 1)
    return gnn.node(torch.cat([x, total, action], 2))


class Plain(torch.nn.Module):
    """The same parameters, computed the straightforward way; takes the place of the model in the loss."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def encode(self, frames):
        first, second = frames
        return torch.cat([plain_encode(self.model, first), plain_encode(self.model, second)])

    def step(self, z, action, memory=None):
        routed = action_slots(action, self.config.slots, self.config.per_object)
        return z + plain_gnn(self.model.transition, z, routed), None


def run(data, batches, plain):
    model = WorldModel.of(data.world, seed=0)
    learner = Plain(model) if plain else model
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    stored = {}
    if plain:  # drawing is not counted: the pictures are stored beforehand
        for k, rows in enumerate(batches):
            pictures = (f.transpose(0, 3, 1, 2).astype(np.float32) / 255 for f in data.frames(rows))
            stored[k] = [torch.from_numpy(picture).contiguous() for picture in pictures]
    losses, start = [], time.process_time()
    for k, rows in enumerate(batches):
        frames = stored[k] if plain else torch.from_numpy(data.pairs(rows))
        same = torch.zeros(1, BATCH, 2 * BATCH, dtype=torch.bool)
        loss = infonce(learner, frames, torch.from_numpy(data.action(rows)[:, None]), same)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return len(batches) * BATCH / (time.process_time() - start), losses


def main():
    torch.set_num_threads(1)
    data = PhysicsWorld(objects=5).collect(200, 100, seed=1)
    rng = np.random.default_rng(0)
    batches = [rng.choice(len(data), BATCH, replace=False) for _ in range(UPDATES)]
    run(data, batches[:2], False), run(data, batches[:2], True)
    rounds = [(run(data, batches, True), run(data, batches, False)) for _ in range(3)]
    slow, fast = max(r[0][0] for r in rounds), max(r[1][0] for r in rounds)
    gap = max(abs(a - b) for a, b in zip(rounds[0][0][1], rounds[0][1][1], strict=True))
    print(f"straightforward {slow:.0f} transitions/s, ours {fast:.0f} transitions/s: {fast / slow:.2f} times")
    print(f"largest difference of the losses over {UPDATES} updates: {gap:.2g} (last loss {rounds[0][1][1][-1]:.3f})")


if __name__ == "__main__":
    main()
