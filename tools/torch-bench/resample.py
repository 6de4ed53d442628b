"""Resampling weights of position tables and of images (docs/model.md)."""
import numpy as np


def cubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


def cubic_taps(src, dst):
    """For each of `dst` outputs: (first source index, normalised float64 weights)."""
    scale = src / dst
    stretch = max(scale, 1.0)
    support = 2.0 * stretch
    taps = []
    for i in range(dst):
        centre = (i + 0.5) * scale
        lo = max(int(centre - support + 0.5), 0)
        hi = min(int(centre + support + 0.5), src)
        w = np.array([cubic((j - centre + 0.5) * (1.0 / stretch)) for j in range(lo, hi)])
        total = 0.0
        for v in w:  # a plain left-to-right sum, as Pillow has it
            total += v
        taps.append((lo, w / total))
    return taps


def cubic_matrix(src, dst):
    """Dense [dst, src] weights of the same filter."""
    m = np.zeros((dst, src))
    for i, (lo, w) in enumerate(cubic_taps(src, dst)):
        m[i, lo:lo + len(w)] = w
    return m


def linear_matrix(src, dst):
    """Dense [dst, src] weights: linear, half-pixel centres, no antialiasing, clamped edges."""
    m = np.zeros((dst, src))
    for i in range(dst):
        x = max((i + 0.5) * src / dst - 0.5, 0.0)
        lo = min(int(x), src - 1)
        hi = min(lo + 1, src - 1)
        m[i, lo] += 1 - (x - lo)
        m[i, hi] += x - lo
    return m
