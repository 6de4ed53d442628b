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


class Fastest:
    """For each size of grid the way that was fastest when it was first met. `clock` gives a call's milliseconds."""

    def __init__(self, ways, clock):
        self.ways, self.clock, self.chosen = ways, clock, {}

    def __call__(self, *arguments):
        grid = tuple(arguments[3].shape[2:4])
        if grid not in self.chosen:
            found = {way: self.clock(lambda: way(*arguments)) for way in self.ways}
            self.chosen[grid] = min(found, key=found.get)
            print(f"SAM's attention of {grid[0]} x {grid[1]}: "
                  + ", ".join(f"{way.__name__} {milliseconds:.3f} ms" for way, milliseconds in found.items()))
        return self.chosen[grid](*arguments)
