"""Greedy decoding of many prompts together; sequences join and leave at any step."""
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class NgramRule:
    """Forbids tokens that would complete an n-gram which began among the last `window` generated ones.

    Without a window it looks at all tokens; `over_prompt` includes the prompt's."""
    size: int
    window: int | None = None
    exempt: frozenset = frozenset()
    over_prompt: bool = False

    def banned(self, ids):
        n = self.size
        if n < 2 or len(ids) < n:
            return set()
        tail = ids[len(ids) - n + 1:]
        first = 0 if self.window is None else max(0, len(ids) - self.window)
        return {ids[i + n - 1] for i in range(first, len(ids) - n + 1) if ids[i:i + n - 1] == tail} - self.exempt


@dataclass
class Sequence:
    prompt: list
    images: list
    rule: NgramRule | None
    limit: int
    name: str = ""
    generated: list | None = None

    def ban(self, scores):
        ids = self.generated
        if self.rule is not None:
            banned = self.rule.banned(self.prompt + ids if self.rule.over_prompt else ids)
            if banned:
                scores[list(banned)] = float("-inf")


def choose(scores, sequences):
    """The best allowed token of each row; ties go to the lowest id."""
    for row, sequence in zip(scores, sequences):
        sequence.ban(row)
    return scores.argmax(-1).tolist()


@torch.inference_mode()
def generate(model, sequences, slots):
    """Fills each sequence's `generated`, the end token included; at most `slots` at a time."""
    capacity = max(len(s.prompt) + s.limit for s in sequences)
    cache = model.decoder.cache(slots, capacity)
    waiting, active, tokens = list(sequences)[::-1], [], []

    def accept(slot, token):
        """Whether a sequence goes on."""
        sequence = active[slot]
        sequence.generated.append(token)
        if token != model.cfg.text.eos_token_id and len(sequence.generated) < sequence.limit:
            return True
        cache.release(slot)
        active[slot], tokens[slot] = active[-1], tokens[-1]
        active.pop()
        tokens.pop()
        return False

    while waiting or active:
        while waiting and len(active) < slots:
            sequence = waiting.pop()
            sequence.generated = []
            x = model.prompt(sequence.prompt, [model.encoder(image) for image in sequence.images])
            token = choose(model.decoder.prefill(x, cache), [sequence])[0]
            active.append(sequence)
            tokens.append(token)
            accept(len(active) - 1, token)
        if not active:
            continue
        scores = model.decoder.step(torch.tensor(tokens, device=model.decoder.device), cache)
        tokens[:] = choose(scores, active)
        # From the back, so that what moves into a freed slot has been seen to.
        for slot in reversed(range(len(active))):
            accept(slot, tokens[slot])
