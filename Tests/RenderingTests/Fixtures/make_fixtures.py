"""Makes the images and PDFs beside this file, and expected.json with what decoding them must give.

Pixels are what Pillow makes of a file (orientation applied, then convert("RGB")), except that 16-bit samples keep
their high byte; where Pillow cannot read a kind, numpy says what was stored. Needs Pillow, numpy and qpdf:

    pip install pillow numpy && python make_fixtures.py
"""
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 37, 23
expected = {}


def record(name, pixels, dpi=None):
    """pixels: one RGB array a page."""
    pages = pixels if isinstance(pixels, list) else [pixels]
    expected[name] = {"dpi": dpi, "pages": [
        {"width": int(p.shape[1]), "height": int(p.shape[0]),
         "sha256": hashlib.sha256(np.ascontiguousarray(p, np.uint8).tobytes()).hexdigest()} for p in pages]}


def by_pillow(name):
    pages = []
    with Image.open(HERE / name) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            pages.append(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
    return pages


def over_white(samples, bits):
    """Colours over paper by the alpha behind them, in 8 bits."""
    colours = high(samples[:, :, :-1], bits).astype(int)
    alpha = high(samples[:, :, -1:], bits).astype(int)
    return (colours * alpha + 255 * (255 - alpha) + 127) // 255


def on_white(name):
    """What Pillow makes of a picture with alpha on white paper."""
    with Image.open(HERE / name) as image:
        picture = ImageOps.exif_transpose(image).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


def levels(channels, bits, seed=1):
    """Noise over a gradient, so that every level and every channel differs."""
    rng = np.random.default_rng(seed)
    top = (1 << bits) - 1
    ramp = np.linspace(0, top, WIDTH)[None, :, None] * np.linspace(0.3, 1, HEIGHT)[:, None, None]
    noise = rng.integers(0, top // 2 + 2, (HEIGHT, WIDTH, channels))
    return np.clip(ramp + noise - top // 4, 0, top).astype(np.uint16)


def packed(samples, bits, order=">"):
    """Rows of samples [h, w, c] as bytes; rows start on a byte."""
    h = samples.shape[0]
    flat = samples.reshape(h, -1)
    if bits == 16:
        return [row.astype(order + "u2").tobytes() for row in flat]
    if bits == 8:
        return [row.astype(np.uint8).tobytes() for row in flat]
    bit_rows = (flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bit_rows]


def grey(samples, bits):
    level = samples[:, :, :1] >> 8 if bits == 16 else samples[:, :, :1].astype(int) * 255 // ((1 << bits) - 1)
    return np.repeat(level, 3, axis=2).astype(np.uint8)


def high(samples, bits):
    return (samples >> 8 if bits == 16 else samples).astype(np.uint8)


# ---------------------------------------------------------------- PNG

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation):
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def png(name, samples, bits, colour, interlaced=False, before=b"", after=b""):
    def rows(part):
        return b"".join(b"\0" + row for row in packed(part, bits))
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        data = b"".join(rows(samples[y::dy, x::dx]) for x, y, dx, dy in passes if samples[y::dy, x::dx].size)
    else:
        data = rows(samples)
    h, w = samples.shape[:2]
    (HERE / name).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, int(interlaced)))
        + before + chunk(b"IDAT", zlib.compress(data)) + after + chunk(b"IEND", b""))


def make_png():
    for bits in (1, 2, 4, 8, 16):
        name = f"grey{bits}.png"
        samples = levels(1, bits)
        png(name, samples, bits, 0)
        record(name, grey(samples, 16) if bits == 16 else by_pillow(name))
    for bits in (1, 2, 4, 8):
        name = f"palette{bits}.png"
        palette = np.random.default_rng(7).integers(0, 256, (1 << bits, 3), np.uint8)
        png(name, levels(1, bits), bits, 3,
            before=chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", bytes([0, 128])))
        record(name, on_white(name))
    for bits in (8, 16):
        for kind, colour, channels in (("rgb", 2, 3), ("greyalpha", 4, 2), ("rgba", 6, 4)):
            name = f"{kind}{bits}.png"
            samples = levels(channels, bits)
            if colour != 2:
                samples[:5, :, -1] = 0
            png(name, samples, bits, colour)
            stored = grey(samples, bits) if channels == 2 else high(samples[:, :, :3], bits)
            if channels in (2, 4):
                alpha = high(samples[:, :, -1:], bits).astype(int)
                stored = (stored.astype(int) * alpha + 255 * (255 - alpha) + 127) // 255
            record(name, stored if bits == 16 else on_white(name))
    png("interlaced.png", levels(3, 8), 8, 2, interlaced=True)
    record("interlaced.png", by_pillow("interlaced.png"))
    gamma = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
    png("gamma-transparent.png", levels(3, 8), 8, 2, before=gamma + chunk(b"tRNS", struct.pack(">HHH", 9, 9, 9)))
    record("gamma-transparent.png", on_white("gamma-transparent.png"), dpi=11811 * 0.0254)
    for orientation in range(1, 9):
        name = f"turned{orientation}.png"
        place = {"before" if orientation % 2 else "after": chunk(b"eXIf", exif(orientation))}
        png(name, levels(3, 8), 8, 2, **place)
        record(name, by_pillow(name))
    tall = np.repeat(levels(3, 8)[:, :1], 64, axis=1)
    png("fax-pixels.png", tall, 8, 2, before=chunk(b"pHYs", struct.pack(">IIB", 8031, 3858, 1)))
    white = np.full((HEIGHT, WIDTH, 4), 255, np.uint16)
    white[:, :, 3] = 0
    white[6:16, 8:24, 3] = 255
    png("white-on-nothing.png", white, 8, 6)
    png("twelve-bits.png", levels(1, 12), 16, 0)
    narrow = np.full((HEIGHT, WIDTH, 1), 0x13FF, np.uint16)
    narrow[6:16, 8:24] = 0x1000
    png("narrow.png", narrow, 16, 0)
    paper = np.random.default_rng(3).integers(0xF000, 0xF400, (HEIGHT, WIDTH, 1)).astype(np.uint16)
    png("paper16.png", paper, 16, 0)
    # 96 megapixels in a few kilobytes.
    line = zlib.compressobj(9)
    data = b"".join(line.compress(bytes(1501)) for _ in range(8000)) + line.flush()
    (HERE / "large.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12000, 8000, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", data) + chunk(b"IEND", b""))


# ---------------------------------------------------------------- JPEG

def make_jpeg():
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).resize((61, 45), Image.Resampling.BICUBIC)
    for name, image, options, dpi in (
        ("rgb420.jpg", smooth, {"subsampling": 2, "dpi": (200, 200)}, 200),
        ("rgb444.jpg", smooth, {"subsampling": 0}, None),
        ("rgb422-progressive.jpg", smooth, {"subsampling": 1, "progressive": True}, None),
        ("grey.jpg", smooth.convert("L"), {}, None),
        ("cmyk.jpg", smooth.convert("CMYK"), {}, None),
        ("stored-rgb.jpg", smooth, {"keep_rgb": True}, None),
        *((f"turned{o}.jpg", smooth, {"exif": b"Exif\0\0" + exif(o)}, None) for o in range(1, 9)),
    ):
        image.save(HERE / name, quality=92, **options)
        record(name, by_pillow(name), dpi)


# ---------------------------------------------------------------- TIFF

TYPES = {3: "H", 4: "I", 5: "II", 16: "Q"}


def tiff(name, pages, order="<", big=False):
    """Uncompressed TIFF; a page is (tags, blocks): {tag: (type, values)} and the strips or tiles as bytes."""
    out = bytearray((b"II" if order == "<" else b"MM")
                    + (struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)))
    link, word = (8, "Q") if big else (4, "I")
    for tags, blocks in pages:
        offsets = []
        for block in blocks:
            offsets.append(len(out))
            out += block + b"\0" * (len(block) % 2)
        where, count = (324, 325) if 322 in tags else (273, 279)
        entries = {**tags, where: (16 if big else 4, offsets), count: (4, [len(b) for b in blocks])}
        fields = []
        for tag, (kind, values) in sorted(entries.items()):
            flat = [n for v in values for n in (v if isinstance(v, tuple) else (v,))]
            data = struct.pack(order + TYPES[kind][0] * len(flat), *flat)
            if len(data) > (8 if big else 4):
                place = len(out)
                out += data + b"\0" * (len(data) % 2)
                data = struct.pack(order + word, place)
            fields.append(struct.pack(order + "HH" + word, tag, kind, len(values)) + data.ljust(8 if big else 4, b"\0"))
        struct.pack_into(order + word, out, link, len(out))
        out += struct.pack(order + ("Q" if big else "H"), len(fields)) + b"".join(fields)
        link = len(out)
        out += struct.pack(order + word, 0)
    (HERE / name).write_bytes(bytes(out))


def page(samples, bits, photometric, planar=False, tile=None, rows=5, extra=None, order="<", more=None):
    h, w, channels = samples.shape
    tags = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [photometric]),
            277: (3, [channels]), 284: (3, [2 if planar else 1]), **(more or {})}
    if extra is not None:
        tags[338] = (3, [extra])
    parts = [samples[:, :, c:c + 1] for c in range(channels)] if planar else [samples]
    blocks = []
    if tile:
        tags |= {322: (4, [tile]), 323: (4, [tile])}
        for part in parts:
            for y in range(0, h, tile):
                for x in range(0, w, tile):
                    block = np.zeros((tile, tile, part.shape[2]), np.uint16)
                    piece = part[y:y + tile, x:x + tile]
                    block[:piece.shape[0], :piece.shape[1]] = piece
                    blocks.append(b"".join(packed(block, bits, order)))
    else:
        tags[278] = (4, [rows])
        for part in parts:
            lines = packed(part, bits, order)
            blocks += [b"".join(lines[y:y + rows]) for y in range(0, h, rows)]
    return tags, blocks


def turn(pixels, orientation):
    flips = {1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
             5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, -1), 7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
             8: lambda p: np.rot90(p, 1)}
    return flips[orientation](pixels)


def ink(samples):
    c, k = samples[:, :, :3].astype(int), samples[:, :, 3:4].astype(int)
    product = c * (255 - k) + 128
    return np.clip(255 - k - (((product >> 8) + product) >> 8), 0, 255).astype(np.uint8)


def make_tiff():
    for bits in (1, 2, 4, 8, 16):
        samples = levels(1, bits)
        for white in (False, True):
            name = f"grey{bits}{'-white' if white else ''}.tiff"
            tiff(name, [page(samples, bits, 0 if white else 1, order=">" if white else "<")], ">" if white else "<")
            pixels = grey(samples, bits)
            record(name, 255 - pixels if white else pixels)
    for bits in (1, 4, 8):
        colours = np.random.default_rng(8).integers(0, 65536, (3, 1 << bits))
        name = f"palette{bits}.tiff"
        tiff(name, [page(levels(1, bits), bits, 3, more={320: (3, colours.reshape(-1).tolist())})])
        record(name, (colours.T >> 8)[levels(1, bits)[:, :, 0]].astype(np.uint8))
    for bits in (8, 16):
        rgb, rgba = levels(3, bits), levels(4, bits)
        for name, arguments in (
            (f"rgb{bits}.tiff", {}), (f"rgb{bits}-planar.tiff", {"planar": True}),
            (f"rgb{bits}-tiled.tiff", {"tile": 16}), (f"rgb{bits}-planar-tiled.tiff", {"tile": 16, "planar": True}),
        ):
            tiff(name, [page(rgb, bits, 2, **arguments)])
            record(name, high(rgb, bits))
        tiff(f"rgba{bits}.tiff", [page(rgba, bits, 2, extra=2)])
        record(f"rgba{bits}.tiff", over_white(rgba, bits))
    big = levels(3, 8)
    tiff("big.tiff", [page(big, 8, 2, order=">")], ">", big=True)
    record("big.tiff", high(big, 8))
    premultiplied = levels(4, 8)
    premultiplied[:, :, :3] = np.minimum(premultiplied[:, :, :3], premultiplied[:, :, 3:])
    tiff("premultiplied.tiff", [page(premultiplied, 8, 2, extra=1)])
    record("premultiplied.tiff", premultiplied[:, :, :3] + (255 - premultiplied[:, :, 3:]))
    inks = levels(4, 8)
    tiff("cmyk.tiff", [page(inks, 8, 5)])
    record("cmyk.tiff", by_pillow("cmyk.tiff"))
    assert (by_pillow("cmyk.tiff")[0] == ink(inks)).all()
    for orientation in range(1, 9):
        name = f"turned{orientation}.tiff"
        tiff(name, [page(levels(3, 8), 8, 2, more={274: (3, [orientation])})])
        record(name, turn(high(levels(3, 8), 8), orientation))
        assert (by_pillow(name)[0] == turn(high(levels(3, 8), 8), orientation)).all()
    inch = {282: (5, [(300, 1)]), 283: (5, [(300, 1)]), 296: (3, [2])}
    centimetre = {282: (5, [(100, 1)]), 283: (5, [(100, 1)]), 296: (3, [3])}
    tiff("inch.tiff", [page(big, 8, 2, more=inch)])
    record("inch.tiff", high(big, 8), 300)
    tiff("centimetre.tiff", [page(big, 8, 2, more=centimetre)])
    record("centimetre.tiff", high(big, 8), 254)

    text = Image.fromarray((levels(1, 8)[:, :, 0] > 120).astype(np.uint8) * 255).convert("1")
    photo = Image.fromarray(high(levels(3, 8), 8))
    for name, image, compression in (
        ("g3.tiff", text, "group3"), ("g4.tiff", text, "group4"), ("lzw.tiff", photo, "tiff_lzw"),
        ("deflate.tiff", photo, "tiff_adobe_deflate"), ("packbits.tiff", text, "packbits"),
        ("ycbcr-jpeg.tiff", photo, "jpeg"), ("grey-jpeg.tiff", photo.convert("L"), "jpeg"),
    ):
        image.save(HERE / name, compression=compression)
        record(name, by_pillow(name))
    pages = [high(levels(3, 8, seed), 8) for seed in range(1, 6)]
    first, *rest = [Image.fromarray(p) for p in pages]
    first.save(HERE / "pages5.tiff", save_all=True, append_images=rest, compression="tiff_lzw")
    record("pages5.tiff", pages)
    # A thumbnail after the page is no page.
    thumbnail = page(levels(3, 8)[::3, ::3], 8, 2, more={254: (4, [1])})
    tiff("thumbnail.tiff", [page(big, 8, 2), thumbnail])
    record("thumbnail.tiff", high(big, 8))


# ---------------------------------------------------------------- PDF

def make_pdf():
    body = b"""%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R>> endobj
4 0 obj <</Length 33>> stream
0 0 0 rg 20 30 50 40 re f        
endstream endobj
trailer <</Root 1 0 R>>
%%EOF
"""
    plain = HERE / "plain.pdf"
    plain.write_bytes(body)
    for name, bits, password in (
        ("locked-rc4.pdf", "128", "sesame"), ("locked-aes256.pdf", "256", "sesame"), ("locked-umlaut.pdf", "256", "grüße"),
    ):
        weak = ["--allow-weak-crypto"] if bits == "128" else []
        result = subprocess.run(
            ["qpdf", "--static-id", *weak, "--encrypt", password, "owner", bits, "--", plain, HERE / name],
            capture_output=True, text=True)
        assert result.returncode in (0, 3), result.stderr
    # Passwords that are not ASCII, in what encryption before UTF-8 takes: PDFDocEncoding, and the bytes of Windows-1252.
    for name, password in (
        ("locked-euro-rc4.pdf", "f\u00fcnf \u20ac".encode("latin-1", "ignore") + b"\xa0"),
        ("locked-euro-windows.pdf", b"f\xfcnf \x80"), ("locked-spaces.pdf", b"two words  "),
    ):
        result = subprocess.run(
            ["qpdf", "--static-id", "--allow-weak-crypto", "--password-mode=bytes", "--encrypt", password, b"owner",
             "128", "--", plain, HERE / name], capture_output=True)
        assert result.returncode in (0, 3), result.stderr
    plain.unlink()


make_png()
make_jpeg()
make_tiff()
def make_bomb(name, head, byte, count):
    """A PDF whose catalogue begins with billions of the same byte, deflated three times over to a few hundred bytes."""
    packer = zlib.compressobj(9)
    data = packer.compress(head) + b"".join(packer.compress(byte * (1 << 20)) for _ in range(count >> 20))
    stream = zlib.compress(zlib.compress(data + packer.flush(), 9), 9)
    filters = b"/FlateDecode /FlateDecode /FlateDecode"
    out = b"%PDF-1.5\n"
    objects = len(out)
    out += b"2 0 obj\n<</Type /ObjStm /N 1 /First 4 /Filter [" + filters + b"] /Length %d>>\nstream\n" % len(stream)
    out += stream + b"\nendstream\nendobj\n"
    table = len(out)
    rows = b"".join(struct.pack(">BIH", *row) for row in [(0, 0, 65535), (2, 2, 0), (1, objects, 0), (1, table, 0)])
    out += b"3 0 obj\n<</Type /XRef /Size 4 /W [1 4 2] /Root 1 0 R /Length %d>>\nstream\n" % len(rows) + rows
    out += b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % table
    (HERE / name).write_bytes(out)


make_pdf()
make_bomb("endless-time.pdf", b"1 0 ", b" ", 8 << 30)
make_bomb("endless-memory.pdf", b"1 0 (", b"A", 4 << 30)
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
print(len(expected), "images")
