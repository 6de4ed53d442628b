"""Kinds 11, 12 and 22: which directories of a TIFF are pages, damaged fax data, and 16-bit samples of a narrow range."""
import zlib

import numpy as np

from . import tiff
from .cases import case
from .drawing import bits, fax, jpeg, lzw, run_length, spoilt, typed as drawn
from .images import raw_png
from .pdf import PDF
from .tiff import Directory, LONG, SHORT

REDUCED = dict(t254=(LONG, [1]))


def grey(width, height, seed=1, **tags):
    page = drawn(width, height, max(8, width // 40), seed=seed)
    return Directory(width, height, [zlib.compress(page.tobytes(), 9)], tiff.DEFLATE, **tags)


def directories():
    kind = "11-tiff-pages-left-out"
    case(kind, "first_of_three_flagged.tif", tiff.tiff(
        grey(620, 877, 1, **REDUCED), grey(620, 877, 2), grey(620, 877, 3)), "pages 3", "done")
    case(kind, "big_tiff_all_flagged.tif", tiff.tiff(
        *[grey(620, 877, seed, **REDUCED) for seed in (1, 2, 3)], big=True, order=">"), "pages 3", "done")
    old = [grey(620, 877, seed, t255=(SHORT, [2])) for seed in (1, 2)]
    case(kind, "old_flag_of_reduced.tif", tiff.tiff(*old), "pages 2", "done")
    case(kind, "preview_then_page.tif", tiff.tiff(grey(124, 175, 1, **REDUCED), grey(620, 877, 1)),
         "pages 1", "not-preview 124x175", "done")
    preview = grey(124, 175, 1, **REDUCED)
    preview.children = [grey(620, 877, 1)]
    case(kind, "page_in_sub_directory.tif", tiff.tiff(preview, order=">"), "pages 1", "not-preview 124x175", "done")
    raw = Directory(620, 876, [drawn(620, 876).tobytes()], photometric=32803, t33421=(SHORT, [2, 2]),
                    t33422=(tiff.BYTE, b"\0\1\1\2"))
    raw.strips = [zlib.compress(raw.strips[0], 9)]
    raw.tags[259] = (SHORT, [tiff.DEFLATE])
    preview = grey(124, 175, 1, t50706=(tiff.BYTE, b"\1\4\0\0"), **REDUCED)
    preview.children = [raw]
    case(kind, "raw_photo_with_preview.dng", tiff.tiff(preview), "not-preview 124x175")
    case(kind, "sound_pages_and_their_thumbnails.tif", tiff.tiff(
        grey(620, 877, 1), grey(124, 175, 1, **REDUCED), grey(620, 877, 2), grey(124, 175, 2, **REDUCED)),
        "sound", "pages 2", "size 620x877")
    case(kind, "sound_three_pages.tif", tiff.tiff(*[
        grey(620, 877, seed, t254=(LONG, [2]), t297=(SHORT, [seed - 1, 3])) for seed in (1, 2, 3)]), "sound", "pages 3")


def damaged():
    kind, page = "12-damaged-fax-is-done", drawn(864, 1100, 16, "1")

    def single(data, code, **tags):
        return tiff.tiff(Directory(864, 1100, [data], code, depth=1, photometric=0, **tags))

    g4, g3 = fax(page), fax(page, "group3")
    case(kind, "g3_damaged.tif", single(spoilt(g3, len(g3) // 2, 60), tiff.G3), "told")
    two = fax(page, "group3", {292: 1})
    case(kind, "g3_two_dimensions_damaged.tif", single(
        spoilt(two, len(two) // 3, 60), tiff.G3, t292=(LONG, [1])), "told")
    half = [page.crop((0, 0, 864, 550)), page.crop((0, 550, 864, 1100))]
    case(kind, "g4_second_strip_damaged.tif", tiff.tiff(Directory(
        864, 1100, [fax(half[0]), spoilt(fax(half[1]), 900, 40)], tiff.G4, depth=1, photometric=0, rows=550)), "told")
    pdf = PDF("stream")
    pdf.scan(pdf.fax(page, spoilt(g4, len(g4) // 2, 40)))
    case(kind, "g4_damaged.pdf", pdf.bytes(), "told")
    inverted = bits(page.point(lambda bit: 0 if bit else 1, "1"))
    case(kind, "lzw_damaged.tif", single(spoilt(lzw(inverted), 3000, 60), tiff.LZW), "told")
    case(kind, "deflate_damaged.tif", single(spoilt(zlib.compress(inverted, 9), 3000, 60), tiff.DEFLATE), "told")
    picture = jpeg(drawn(620, 877), 30)
    case(kind, "jpeg_in_tiff_cut.tif", tiff.tiff(Directory(620, 877, [picture[:len(picture) // 2]], tiff.JPEG)), "told")
    case(kind, "jpeg_of_noise.jpg", spoilt(picture, len(picture) // 2, 4000), "told")
    case(kind, "sound_g3.tif", single(g3, tiff.G3), "sound")
    case(kind, "sound_g3_two_dimensions.tif", single(two, tiff.G3, t292=(LONG, [1])), "sound")
    case(kind, "sound_packbits.tif", single(run_length(inverted)[:-1], tiff.PACKBITS), "sound")
    case(kind, "sound_g4_without_end.tif", single(g4[:-3], tiff.G4), "sound")


def deep():
    kind = "22-16bit-narrow-range-is-blank"
    page = np.asarray(drawn(620, 877)).astype(np.uint32)

    def single(samples, **tags):
        channels = samples.shape[2] if samples.ndim == 3 else 1
        order = tags.pop("order", "<")
        data = zlib.compress(samples.astype(order + "u2").tobytes(), 9)
        photometric = tags.pop("photometric", 2 if channels == 3 else 1)
        return tiff.tiff(Directory(620, 877, [data], tiff.DEFLATE, depth=16, channels=channels, photometric=photometric,
                                   **tags), order=order)

    twelve = page * 4095 // 255
    case(kind, "twelve_bits_said_so.tif", single(twelve, t281=(SHORT, [4095])), "done")
    case(kind, "ten_bits_colour_big_endian.tif", single(
        np.repeat((page * 1023 // 255)[:, :, None], 3, 2), order=">"), "done")
    case(kind, "twelve_bits_white_is_zero.tif", single(4095 - twelve, photometric=0), "done")
    rows = [row.astype(">u2").tobytes() for row in twelve]
    case(kind, "twelve_bits.png", raw_png(620, 877, 16, 0, rows), "done")
    case(kind, "sound_all_sixteen_bits.tif", single(page * 257), "sound")
    case(kind, "blank_all_sixteen_bits.tif", single(np.full_like(page, 65535)), "blank")
    noise = np.tile(np.random.default_rng(5).integers(-8, 9, (40, 40)), (22, 16))[:877, :620]
    case(kind, "blank_twelve_bits_with_noise.tif", single(4080 + noise), "blank")


def make():
    directories()
    damaged()
    deep()
