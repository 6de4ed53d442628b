#!/usr/bin/env python3
"""Makes samples/archive from the texts in samples/text. A second run writes the same bytes.

Needs the packages of requirements.txt and Debian's fonts-liberation and fonts-dejavu-core:

    python3 -m venv .venv && .venv/bin/pip install -r samples/requirements.txt
    .venv/bin/python samples/make_samples.py

A text file holds a document's pages as the model is to write them, separated by lines of three dashes; it becomes the
document's truth file, pages separated by a line with a form feed. Pages are slips of a card index, 90 mm square, set in
14 point monospaced type: what the small checkpoint in models/quire-nano was trained to read.
"""
import argparse
import io
import random
import textwrap
from pathlib import Path

import img2pdf
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

HERE = Path(__file__).resolve().parent
FONT_FILES = {
    "Liberation": "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf",
    "DejaVu": "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
}

SIDE = 90 / 25.4 * 72      # of a slip, in points
MARGIN_LEFT, MARGIN_TOP = 9, 11
BODY, TITLE = 14, 18.2     # type sizes in points
LEADING = 1.3
PARAGRAPH_GAP = 11
ADVANCE = 0.602            # width of a character of all three faces, in ems, rounded up
ASCENT = 0.83              # of Liberation Mono and Courier, in ems: where the first baseline lies
SCAN_DPI = 300
PASSWORD = "marrow-quay"


def pages_of(name):
    """The pages of samples/text/NAME.md; an empty string is a blank page."""
    return [page.strip() for page in (HERE / "text" / f"{name}.md").read_text().split("---\n")]


def lay_out(page):
    """Lines of a page as (text, size, distance of the baseline from the top), in points."""
    lines, y = [], MARGIN_TOP
    for block in page.split("\n\n") if page else ():
        size = TITLE if block.startswith("# ") else BODY
        columns = int((SIDE - 2 * MARGIN_LEFT) / (ADVANCE * size))
        for line in textwrap.wrap(block.removeprefix("# "), columns, break_on_hyphens=False):
            lines.append((line, size, y + ASCENT * size))
            y += LEADING * size
        y += PARAGRAPH_GAP
    if y - PARAGRAPH_GAP > SIDE - 5:
        raise SystemExit(f"This page is too long for its slip: {page[:60]!r}")
    return lines


# Vector PDF


def new_canvas(path, font, encrypt=None):
    canvas = Canvas(str(path), pagesize=(SIDE, SIDE), initialFontName=font, invariant=1, encrypt=encrypt)
    canvas.setTitle(path.stem)
    return canvas


def draw_vector(canvas, page, font):
    for text, size, y in lay_out(page):
        canvas.setFont(font, size)
        canvas.drawString(MARGIN_LEFT, SIDE - y, text)


def vector_pdf(path, pages, font, encrypt=None):
    canvas = new_canvas(path, font, encrypt)
    for page in pages:
        draw_vector(canvas, page, font)
        canvas.showPage()
    canvas.save()


def plans_pdf(path, pages, font):
    """The second page is upright once /Rotate 90 is applied; the third is cut out of a larger sheet by its crop box."""
    canvas = new_canvas(path, font)
    draw_vector(canvas, pages[0], font)
    canvas.showPage()

    canvas.setPageRotation(90)
    canvas.translate(SIDE, 0)
    canvas.rotate(90)
    draw_vector(canvas, pages[1], font)
    canvas.showPage()

    border = 40
    canvas.setPageRotation(0)
    canvas.setPageSize((SIDE + 2 * border, SIDE + 2 * border))
    canvas.setCropBox((border, border, border + SIDE, border + SIDE))
    canvas.setFont(font, 8)
    canvas.drawString(4, 4, "Printer's marks: outside the crop box, not to be read.")
    canvas.translate(border, border)
    draw_vector(canvas, pages[2], font)
    canvas.showPage()
    canvas.save()


# Scans


def scan(page, font, seed, dpi=SCAN_DPI):
    """A greyscale picture of the slip: paper, ink, a little skew, blur and noise."""
    chance = random.Random(seed)
    scale = dpi / 72
    side = round(SIDE * scale)
    paper, ink = chance.randint(232, 244), chance.randint(25, 50)
    image = Image.new("L", (side, side), paper)
    draw = ImageDraw.Draw(image)
    for text, size, y in lay_out(page):
        face = ImageFont.truetype(FONT_FILES[font], size * scale)
        draw.text((MARGIN_LEFT * scale, y * scale), text, font=face, fill=ink, anchor="ls")
    image = image.rotate(chance.uniform(-0.25, 0.25), Image.Resampling.BICUBIC, fillcolor=paper)
    image = image.filter(ImageFilter.GaussianBlur(0.7 * dpi / SCAN_DPI))
    noise = np.random.default_rng(seed).normal(0, 5, (side, side))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).round().astype(np.uint8))


def bilevel(image):
    return image.point(lambda value: 255 if value > 140 else 0).convert("1")


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scanned_pdf(path, images):
    """An image a page, as scanners write them: the images' own bytes (JPEG or CCITT G4) stand in the PDF."""
    path.write_bytes(img2pdf.convert(images, engine=img2pdf.Engine.internal, nodate=True))


def sideways_jpeg(path, image):
    """As a camera held on its side saves it: the pixels are turned, and EXIF orientation 6 says how to turn them back."""
    exif = Image.Exif()
    exif[0x0112] = 6
    tinted = Image.merge("RGB", [image, image, image.point(lambda value: value * 0.93)])
    tinted.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", quality=60, dpi=(SCAN_DPI, SCAN_DPI), exif=exif)


# The archive


def truth(path, pages):
    path.with_name(path.name + ".truth.md").write_text("\n\f\n".join(pages) + "\n")


def make(archive):
    for name, file in FONT_FILES.items():
        pdfmetrics.registerFont(TTFont(name, file))
    for folder in ("letters", "scans", "minutes", "broken"):
        (archive / folder).mkdir(parents=True, exist_ok=True)
    texts = {file.stem: pages_of(file.stem) for file in sorted((HERE / "text").glob("*.md"))}
    dpi = (SCAN_DPI, SCAN_DPI)

    def document(path, name):
        target = archive / path
        truth(target, texts[name])
        return target, texts[name]

    vector_pdf(*document("letters/lamp.pdf", "lamp"), "Liberation")
    vector_pdf(*document("letters/bell.pdf", "bell"), "DejaVu")
    vector_pdf(*document("letters/ferry.pdf", "ferry"), "Courier")
    vector_pdf(*document("letters/visitors.pdf", "visitors"), "Liberation")

    vector_pdf(*document("minutes/committee-1931-07.pdf", "committee"), "Liberation")
    plans_pdf(*document("minutes/plans.pdf", "plans"), "DejaVu")
    vector_pdf(
        *document("minutes/sealed.pdf", "sealed"), "Liberation",
        encrypt=StandardEncryption(PASSWORD, ownerPassword="harbour-office", strength=128))
    (archive / "minutes/sealed.pdf.password").write_text(PASSWORD + "\n")

    path, pages = document("scans/lamp-scanned.pdf", "lamp")
    scans = [scan(page, "Liberation", 100 + i) for i, page in enumerate(pages)]
    scanned_pdf(path, [encoded(image, "JPEG", quality=50, dpi=dpi) for image in scans])

    path, pages = document("scans/bell-bilevel.pdf", "bell")
    scans = [bilevel(scan(page, "DejaVu", 200 + i)) for i, page in enumerate(pages)]
    scanned_pdf(path, [encoded(image, "TIFF", compression="group4", dpi=dpi) for image in scans])

    path, pages = document("scans/harbour-book-1788.tif", "ledger")
    first, *rest = [bilevel(scan(page, "Liberation", 300 + i)) for i, page in enumerate(pages)]
    first.save(path, "TIFF", compression="group4", dpi=dpi, save_all=True, append_images=rest)

    path, pages = document("scans/notice.png", "notice")
    scan(pages[0], "DejaVu", 400, dpi=150).save(path, "PNG", optimize=True, dpi=(150, 150))

    path, pages = document("scans/postcard.jpg", "postcard")
    sideways_jpeg(path, scan(pages[0], "Liberation", 500))

    # Not even the first page of this one is whole, so nothing can be saved of it.
    whole = (archive / "letters/visitors.pdf").read_bytes()
    (archive / "broken/truncated.pdf").write_bytes(whole[: len(whole) // 4])
    (archive / "broken/empty.pdf").write_bytes(b"")
    (archive / "broken/not-a-pdf.pdf").write_text("This file is called a PDF, and that is all there is to it.\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "archive", help="where to write (default: samples/archive)")
    make(parser.parse_args().out)
