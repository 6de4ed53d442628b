"""Kinds 5, 10, 13 and 17: transparency, faxes, orientation, and pictures that are whole but not read."""
import struct
import zlib

import numpy as np
from PIL import Image

from . import tiff
from .cases import case
from .drawing import bits, fax, file_of, jpeg, png, typed as drawn
from .pdf import PDF

W, H = 620, 877


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, depth, colour, rows, *chunks):
    """A PNG from rows of samples, with further chunks before the data."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def transparency():
    kind = "05-transparency-is-blank"
    ink = 255 - np.asarray(drawn(W, H))
    zero = np.zeros_like(ink)
    rows = [np.stack([zero[y], ink[y]], 1).tobytes() for y in range(H)]
    case(kind, "grey_with_alpha.png", raw_png(W, H, 8, 4, rows), "done")
    deep = ink.astype(">u2") * 257
    rows = [np.stack([deep[y] * 0] * 3 + [deep[y]], 1).astype(">u2").tobytes() for y in range(H)]
    case(kind, "colour_with_alpha_16_bits.png", raw_png(W, H, 16, 6, rows), "done")
    grey = np.where(ink > 127, 0, 5).astype(np.uint8)
    case(kind, "grey_with_one_level_transparent.png",
         raw_png(W, H, 8, 0, [row.tobytes() for row in grey], chunk(b"tRNS", b"\0\x05")), "done")
    samples = np.stack([zero, zero, zero, ink], 2)
    for name, extra in (("associated", 1), ("unassociated", 2)):
        case(kind, f"{name}_alpha.tif", tiff.tiff(tiff.Directory(
            W, H, [zlib.compress(samples.tobytes(), 9)], tiff.DEFLATE, channels=4, photometric=2,
            t338=(tiff.SHORT, [extra]))), "done")
    pdf = PDF()
    mask = pdf.picture(W, H, zlib.compress(ink.tobytes(), 9), "FlateDecode")
    pdf.scan(pdf.picture(W, H, zlib.compress(zero.tobytes(), 9), "FlateDecode", more=b"/SMask " + mask))
    case(kind, "black_with_soft_mask.pdf", pdf.bytes(), "done")
    light = np.stack([zero + 255, ink], 2)
    case(kind, "white_text_on_transparent.png", raw_png(W, H, 8, 4, [row.tobytes() for row in light]), "done")
    opaque = np.stack([255 - ink, zero + 255], 2)
    case(kind, "sound_opaque_alpha.png", raw_png(W, H, 8, 4, [row.tobytes() for row in opaque]), "sound")
    case(kind, "blank_all_transparent.png", raw_png(W, H, 8, 4, [bytes(W * 2)] * H), "blank")


def faxes():
    kind = "10-fax-204x98-squashed"
    page = drawn(864, 573, 16, "1")
    low = tiff.resolution(204, 98)

    def directory(code, options=None, **tags):
        return tiff.Directory(864, 573, [fax(page, code, options)], tiff.G3 if code == "group3" else tiff.G4, depth=1,
                              photometric=0, **tags)

    case(kind, "g3_one_dimension.tif", tiff.tiff(directory("group3", **low)), "aspect 864x1193")
    case(kind, "g3_two_dimensions.tif", tiff.tiff(directory(
        "group3", {292: 1}, t292=(tiff.LONG, [1]), **low), order=">"), "aspect 864x1193")
    case(kind, "g4_per_centimetre.tif", tiff.tiff(directory(
        "group4", **tiff.resolution(80.31, 38.58, 3))), "aspect 864x1193")
    plain = tiff.Directory(864, 573, [bits(page)], depth=1, **low)
    case(kind, "two_pages_uncompressed.tif", tiff.tiff(plain, directory("group4", **low)), "aspect 864x1193", "pages 2")
    case(kind, "fax.png", png(page, dpi=(204, 98)), "aspect 864x1193")
    case(kind, "fax.jpg", jpeg(page.convert("L"), 20, dpi=(204, 98)), "aspect 864x1193")
    pdf = PDF()
    pdf.scan(pdf.fax(page))
    case(kind, "fax_on_a4.pdf", pdf.bytes(), "aspect 595x842")
    case(kind, "sound_200x200.tif", tiff.tiff(directory("group4", **tiff.resolution(200, 200))), "sound", "size 864x573")
    case(kind, "sound_no_resolution.tif", tiff.tiff(directory("group4")), "sound", "size 864x573")


def exif(order, kind, value):
    """An EXIF block of one tag."""
    field = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I", 8: "h2x", 9: "i"}[kind], value)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHI", 8, 1, 0x112, kind, 1) + field + bytes(4)


def with_exif(picture, block):
    data = b"Exif\0\0" + block
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + picture[2:]


def orientation():
    kind, picture = "13-exif-orientation-long", jpeg(drawn(600, 400), 25)
    case(kind, "orientation_8_byte.jpg", with_exif(picture, exif("<", 1, 8)), "size 400x600")
    case(kind, "orientation_6_long_big_endian.jpg", with_exif(picture, exif(">", 4, 6)), "size 400x600")
    case(kind, "orientation_5_slong.jpg", with_exif(picture, exif("<", 9, 5)), "size 400x600")
    grey = drawn(600, 400)
    rows = [grey.crop((0, y, 600, y + 1)).tobytes() for y in range(400)]
    case(kind, "orientation_7_long.png", raw_png(600, 400, 8, 0, rows, chunk(b"eXIf", exif(">", 4, 7))), "size 400x600")
    for name, type_, value in (("long_6", tiff.LONG, 6), ("byte_8", tiff.BYTE, 8)):
        case(kind, f"orientation_{name}.tif", tiff.tiff(tiff.Directory(
            600, 400, [zlib.compress(grey.tobytes(), 9)], tiff.DEFLATE, t274=(type_, [value]))), "size 400x600")
    case(kind, "sound_orientation_1_long.jpg", with_exif(picture, exif("<", 4, 1)), "sound", "size 600x400")
    case(kind, "sound_orientation_6_short.jpg", with_exif(picture, exif("<", 3, 6)), "sound", "size 400x600")
    case(kind, "sound_orientation_9_means_none.jpg", with_exif(picture, exif("<", 3, 9)), "sound", "size 600x400")


def unsupported():
    kind = "17-unsupported-called-damaged"
    says = "says not read|not supported|unsupported"
    picture = jpeg(drawn(300, 400), 25)
    at = picture.index(b"\xff\xc0")
    for name, marker in (("hierarchical_sof5", 0xC5), ("jpeg_ls_sof55", 0xF7), ("arithmetic_lossless_sof11", 0xCB)):
        case(kind, f"{name}.jpg", picture[:at + 1] + bytes([marker]) + picture[at + 2:], says)
    deep = bytearray(picture)
    deep[at + 1], deep[at + 4] = 0xC1, 12
    case(kind, "twelve_bits.jpg", bytes(deep), says)
    grey = drawn(300, 400)
    coded = zlib.compress(grey.tobytes(), 9)
    for name, code in (("next_of_8_bits", 32766), ("jpeg_xl", 50002), ("dcs", 32947)):
        case(kind, f"{name}.tif", tiff.tiff(tiff.Directory(300, 400, [coded], code)), says)
    mosaic = tiff.Directory(300, 400, [coded], tiff.DEFLATE, photometric=32803, t33421=(tiff.SHORT, [2, 2]),
                            t33422=(tiff.BYTE, b"\0\1\1\2"))
    case(kind, "colour_filter_mosaic.tif", tiff.tiff(mosaic), says)
    case(kind, "sound_lzw.tif", file_of(grey, "TIFF", compression="tiff_lzw"), "sound")
    case(kind, "sound_four_colours.jpg", file_of(Image.merge("CMYK", [Image.new("L", grey.size)] * 3 + [
        grey.point(lambda level: 255 - level)]), "JPEG", quality=25), "sound")


def make():
    transparency()
    faxes()
    orientation()
    unsupported()
