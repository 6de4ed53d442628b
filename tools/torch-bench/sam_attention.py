"""How SAM's blocks attend with a bias of a row's and a column's part. All ways give the same numbers.

Each takes q, k, v [b, heads, h * w, d] and the bias' parts [b, heads, h, w, h] and [b, heads, h, w, w], and gives
[b, heads, h * w, d].
"""
import torch
import torch.nn.functional as F


def _bias(bias_h, bias_w):
    return (bias_h[..., :, None] + bias_w[..., None, :]).flatten(2, 3).flatten(3)


def whole(q, k, v, bias_h, bias_w):
    """The fused attention with the whole bias as its mask, as the released program has it."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=_bias(bias_h, bias_w))


def by_head(q, k, v, bias_h, bias_w):
    """The same one head at a time in large grids: the bias of a 64 x 64 grid is 67 MB a head, and on a CPU it is faster
    to keep it small."""
    b, heads, positions, _ = q.shape
    if positions <= 1024:
        return whole(q, k, v, bias_h, bias_w)
    out = torch.empty_like(q.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    for image in range(b):
        for head in range(heads):
            at = (slice(image, image + 1), slice(head, head + 1))
            out[at] = whole(q[at], k[at], v[at], bias_h[at], bias_w[at])
    return out


def folded(q, k, v, bias_h, bias_w):
    """The bias as further elements of queries, against keys that say in which row and column they stand: longer
    products, and no mask, which the fastest fused attention does not take."""
    _, _, h, w, _ = bias_h.shape
    d = q.shape[-1]
    spare = -(d + h + w) % 8
    places = torch.arange(h * w, device=q.device)
    rows = places[:, None] // w == torch.arange(h, device=q.device)
    columns = places[:, None] % w == torch.arange(w + spare, device=q.device)
    marks = torch.cat([rows, columns], 1).to(k.dtype).expand(*k.shape[:2], -1, -1)
    queries = torch.cat([q * d ** -0.5, bias_h.flatten(2, 3), F.pad(bias_w.flatten(2, 3), (0, spare))], -1)
    values = F.pad(v, (0, h + w + spare))
    return F.scaled_dot_product_attention(queries, torch.cat([k, marks], -1), values, scale=1.0)[..., :d]


class Flexible:
    """PyTorch's compiled attention, which adds the bias' parts to each score as it goes; windows, for which compiling
    takes longer than it saves, are left to `whole`."""

    __name__ = "flexible"

    def __init__(self):
        from torch.nn.attention.flex_attention import flex_attention
        # Each size and number of images is compiled; past the limit the slow way would be taken without a word.
        torch._dynamo.config.recompile_limit = 64
        self.attention = torch.compile(flex_attention, dynamic=False)

    def __call__(self, q, k, v, bias_h, bias_w):
        w = bias_w.shape[-1]
        if q.shape[2] < 1024:
            return whole(q, k, v, bias_h, bias_w)
        bias_h, bias_w = bias_h.flatten(2, 3), bias_w.flatten(2, 3)

        def score(score, image, head, query, key):
            return score + bias_h[image, head, query, key // w] + bias_w[image, head, query, key % w]

        return self.attention(q, k, v, score_mod=score)


class Fastest:
    """For each size of grid the way that was fastest when it was first met. `clock` gives a call's milliseconds."""

    def __init__(self, ways, clock):
        self.ways, self.clock = ways, clock
        self.chosen = {}
        self.milliseconds = {}      # by grid and way; None where a way failed

    def __call__(self, *arguments):
        grid = tuple(arguments[3].shape[2:4])
        if grid not in self.chosen:
            self.chosen[grid] = self._choose(grid, arguments)
        return self.chosen[grid](*arguments)

    def _choose(self, grid, arguments):
        for way in self.ways:
            try:
                found = self.clock(lambda: way(*arguments))
            except Exception as error:      # what a compiler or a kernel does not support is no fault here
                print(f"SAM's attention of {grid[0]} x {grid[1]}, {way.__name__}: {str(error).splitlines()[0][:160]}")
                found = None
            self.milliseconds[grid, way.__name__] = found
        usable = [way for way in self.ways if self.milliseconds[grid, way.__name__] is not None]
        return min(usable or self.ways[:1], key=lambda way: self.milliseconds[grid, way.__name__] or 0)
