"""Typescript: pictures of clean text, so that every page has ink, in few bytes."""
import io
import random

import imagecodecs
import tifffile
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf"
WORDS = ("harbour ledger keeper lamp ferry bell stone quay winter rope tide salt letter minute clerk copper "
         "visitor plan mast wool paper north signal barrel").split()


def lines(count, columns, seed=1):
    """So many lines of words, the same for the same seed."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        line = ""
        while len(line) < columns - 10:
            line += rng.choice(WORDS) + " "
        made.append(line.strip())
    return made


def typed(width, height, size=20, mode="L", ink=0, ground=255, seed=1):
    """A page of text; the text repeats where the page is very large, so that drawing stays quick."""
    tile_w, tile_h = min(width, 2400), min(height, 2400)
    tile = Image.new("L", (tile_w, tile_h), ground)
    draw = ImageDraw.Draw(tile)
    font = ImageFont.truetype(FONT, size)
    step = size * 3 // 2
    columns = max(12, int((tile_w - 2 * size) / (size * .6)))
    for row, line in enumerate(lines(max(1, (tile_h - size) // step), columns, seed)):
        draw.text((size, size // 2 + row * step), line, fill=ink, font=font)
    if mode == "1":
        tile = tile.point(lambda level: 255 if level > (ink + ground) // 2 else 0).convert("1", dither=0)
    else:
        # Few levels, which take fewer bytes.
        tile = tile.point(lambda level: level // 51 * 51)
    if (tile_w, tile_h) == (width, height):
        return tile
    page = Image.new(tile.mode, (width, height), 1 if mode == "1" else ground)
    for y in range(0, height, tile_h):
        for x in range(0, width, tile_w):
            page.paste(tile, (x, y))
    return page


def file_of(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def jpeg(image, quality=40, **options):
    return file_of(image, "JPEG", quality=quality, **options)


def png(image, **options):
    return file_of(image, "PNG", optimize=True, **options)


def jpx(image, rate=30):
    return file_of(image, "JPEG2000", quality_mode="rates", quality_layers=[rate])


def fax(image, compression="group4", options=None):
    """The coded rows of a black-and-white picture, in which white is coded as white."""
    flipped = image.point(lambda bit: 0 if bit else 1, "1")
    tags = {278: image.height} | (options or {})
    data = file_of(flipped, "TIFF", compression=compression, tiffinfo=tags)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        places = zip(tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts)
        parts = [data[at:at + count] for at, count in places]
    if len(parts) != 1:
        raise SystemExit("one strip was asked for")
    return parts[0]


def lzw(data):
    return imagecodecs.lzw_encode(data)


def run_length(data):
    return imagecodecs.packbits_encode(data) + b"\x80"


def bits(image):
    """Rows of a black-and-white picture, 1 for white, each from a byte on."""
    return image.tobytes()


def jbig2(image):
    """A black-and-white picture as segments of JBIG2: a page and one generic region that is coded like a fax."""
    def segment(number, kind, data):
        return number.to_bytes(4, "big") + bytes([kind, 0, 1]) + len(data).to_bytes(4, "big") + data

    size = image.width.to_bytes(4, "big") + image.height.to_bytes(4, "big")
    page = size + bytes(8) + bytes([0]) + bytes(2)
    region = size + bytes(8) + bytes([0]) + bytes([1]) + fax(image)
    return segment(0, 48, page) + segment(1, 38, region)


def zeroed(data, start, count):
    return data[:start] + bytes(count) + data[start + count:]


def spoilt(data, at, count=30, seed=7):
    """Bytes replaced by others."""
    rng = random.Random(seed)
    return data[:at] + bytes(rng.randrange(256) for _ in range(count)) + data[at + count:]
