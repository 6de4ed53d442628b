"""Page images to views and tiles, byte for byte as Pillow's 8-bit resampling gives them; used by check.py."""
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

from resample import cubic_taps


@dataclass(frozen=True)
class Mode:
    base: int          # side of the whole-page view
    tile: int          # side of a tile
    crop: bool         # whether larger images are also cut into tiles


MODES = {"tiny": Mode(512, 512, False), "small": Mode(640, 640, False), "base": Mode(1024, 1024, False),
         "large": Mode(1280, 1280, False), "gundam": Mode(1024, 640, True), "gundam-m": Mode(1280, 1024, True)}
NO_TILES_UP_TO = 640   # whatever the tile size
PAD = 127


@dataclass
class Prepared:
    view: torch.Tensor                   # [3, base, base] in [-1, 1]
    tiles: torch.Tensor | None = None    # [columns * rows, 3, tile, tile], row-major
    grid: tuple = (1, 1)                 # (columns, rows)


def load(path):
    """RGB bytes [h, w, 3]: turned as EXIF says, alpha dropped."""
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def resize_axis(pixels, size, axis):
    src = np.moveaxis(pixels, axis, 0).astype(np.int64)
    out = np.empty((size, *src.shape[1:]), np.uint8)
    for i, (lo, w) in enumerate(cubic_taps(len(src), size)):
        k = np.trunc(w * (1 << 22) + np.where(w < 0, -0.5, 0.5)).astype(np.int64)
        out[i] = np.clip((np.tensordot(k, src[lo:lo + len(k)], 1) + (1 << 21)) >> 22, 0, 255)
    return np.moveaxis(out, 0, axis)


def resize(pixels, width, height):
    """22-bit fixed point, horizontal pass first, bytes in between."""
    if pixels.shape[1] != width:
        pixels = resize_axis(pixels, width, 1)
    if pixels.shape[0] != height:
        pixels = resize_axis(pixels, height, 0)
    return pixels


def pad_square(pixels, side):
    """Fits an image inside side x side and centres it on grey; ties go to even."""
    h, w = pixels.shape[:2]
    fit = (side, round(h / w * side)) if w > h else (round(w / h * side), side)
    out = np.full((side, side, 3), PAD, np.uint8)
    if min(fit) > 0:
        x, y = round((side - fit[0]) * 0.5), round((side - fit[1]) * 0.5)
        out[y:y + fit[1], x:x + fit[0]] = resize(pixels, *fit)
    return out


def choose_grid(width, height, tile, max_tiles):
    """(columns, rows) of the nearest aspect ratio; a tie goes to the larger grid if the image fills half of it."""
    options = [(c, r) for c in range(1, max_tiles + 1) for r in range(1, max_tiles + 1) if 2 <= c * r <= max_tiles]
    best, best_gap = (1, 1), float("inf")
    for cols, rows in sorted(options, key=lambda o: o[0] * o[1]):
        gap = abs(width / height - cols / rows)
        if gap < best_gap or (gap == best_gap and width * height > 0.5 * tile * tile * cols * rows):
            best, best_gap = (cols, rows), gap
    return best


def to_tensor(pixels):
    return ((torch.tensor(pixels).float() / 255 - 0.5) / 0.5).permute(2, 0, 1).contiguous()


def prepare(pixels, mode, max_tiles=9):
    mode = MODES[mode]
    h, w = pixels.shape[:2]
    if not mode.crop and mode.base <= 640:
        return Prepared(to_tensor(resize(pixels, mode.base, mode.base)))   # stretched, not padded
    result = Prepared(to_tensor(pad_square(pixels, mode.base)))
    if mode.crop and max(h, w) > NO_TILES_UP_TO:
        cols, rows = result.grid = choose_grid(w, h, mode.tile, max_tiles)
        big, t = resize(pixels, cols * mode.tile, rows * mode.tile), mode.tile
        result.tiles = torch.stack([to_tensor(big[r * t:(r + 1) * t, c * t:(c + 1) * t])
                                    for r in range(rows) for c in range(cols)])
    return result
