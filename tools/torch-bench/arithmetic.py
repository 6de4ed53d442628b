"""How products are taken: in the weights' own element type, or widened to float32 where that is faster."""
import time

import torch
import torch.nn.functional as F


class Arithmetic:
    """Products of activations with weights.

    With bfloat16 weights there are two ways. On processors with bfloat16 instructions everything is bfloat16. On others
    PyTorch's bfloat16 products run at a fraction of float32's speed; there activations are float32, and a weight is
    widened piece by piece into a buffer that stays in the cache, except for the few rows where the bfloat16 product,
    which reads half as much, still wins.
    """

    PIECE = 1 << 22   # elements widened at a time: 16 MB, and no expert's matrix is larger

    def __init__(self, dtype, way="auto"):
        self.weights = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        self.activations = self.weights
        self.native_rows = 0
        self.seconds = {}       # by rows: of the two ways, for the report
        self.buffer = None
        if self.weights == torch.float32:
            self.way = "native"
            return
        self.buffer = torch.empty(self.PIECE)
        self.way = self._measure() if way == "auto" else way
        if self.way == "widened":
            if not self.seconds:
                self._measure()
            self.activations = torch.float32

    def product(self, x, weight, bias=None):
        """x [..., in] times weight [out, in], plus bias."""
        if x.dtype == weight.dtype:
            return F.linear(x, weight, bias)
        if x.numel() // x.shape[-1] <= self.native_rows:
            y = F.linear(x.to(weight.dtype), weight).to(x.dtype)
            return y if bias is None else y.add_(bias)
        rows = self.PIECE // weight.shape[1]
        if len(weight) <= rows:
            return F.linear(x, self._wide(weight), bias)
        out = x.new_empty(*x.shape[:-1], len(weight))
        for start in range(0, len(weight), rows):
            out[..., start:start + rows] = F.linear(x, self._wide(weight[start:start + rows]))
        return out if bias is None else out.add_(bias)

    def _wide(self, weight):
        return self.buffer[:weight.numel()].view_as(weight).copy_(weight)

    def _measure(self):
        """Times both ways on matrices of an expert's size, more of them than fit the cache."""
        matrices = [torch.randn(1792, 1280).to(torch.bfloat16) for _ in range(24)]
        native_rows, counting, way = 0, True, "widened"
        for rows in (1, 2, 4, 8, 16, 64):
            narrow, wide = torch.randn(rows, 1280).to(torch.bfloat16), torch.randn(rows, 1280)
            native = self._time(lambda: [F.linear(narrow, m) for m in matrices])
            widened = self._time(lambda: [F.linear(wide, self._wide(m)) for m in matrices])
            self.seconds[rows] = (native / len(matrices), widened / len(matrices))
            counting = counting and native < widened
            native_rows = rows if counting else native_rows
            if rows == 64 and native < widened:
                way = "native"
        self.native_rows = native_rows
        return way

    @staticmethod
    def _time(body):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            body()
            times.append(time.perf_counter() - start)
        return min(times)
