"""Kinds 6 to 9: sizes beyond the limit, and at how many dots an inch a page of pictures is drawn."""
import zlib

from . import tiff
from .cases import case
from .drawing import bits, fax, jpeg, lines, png, typed as drawn
from .pdf import HELVETICA, PDF, shown, typed

A4 = (0, 0, 595, 842)
SMALL = (0, 0, 298, 421)    # at 200 dots an inch 828 x 1169 pixels


def huge():
    kind = "06-limit-without-a-setting"
    large = drawn(12000, 9000, 220, "1")
    case(kind, "drawing_12000x9000.png", png(large), "done")
    tiles = [zlib.compress(bits(large.crop((x, y, x + 3008, y + 3008)).convert("1")), 9)
             for y in range(0, 9000, 3008) for x in range(0, 12000, 3008)]
    directory = tiff.Directory(12000, 9000, tiles, tiff.DEFLATE, depth=1, rows="tiles",
                               t322=(tiff.LONG, [3008]), t323=(tiff.LONG, [3008]))
    case(kind, "drawing_in_tiles.tif", tiff.tiff(directory, big=True), "done")
    pdf = PDF("stream")
    pdf.scan(pdf.fax(large), (0, 0, 1440, 1080))
    case(kind, "drawing_600dpi_g4.pdf", pdf.bytes(), "done")
    pdf = PDF(version="1.6")
    pdf.text(lines(30, 80), (0, 0, 1400, 1400), 30, more=b"/UserUnit 10")
    case(kind, "text_on_194_inch_by_user_unit.pdf", pdf.bytes(), "done")
    pdf = PDF("stream")
    pdf.text(lines(20, 90), (-7200, -7200, 7200, 7200), 200)
    pdf.text(lines(20, 60))
    case(kind, "text_on_200_inch_from_minus_100.pdf", pdf.bytes(), "done", "pages 2")
    case(kind, "sound_7000x9000_g4.tif", tiff.tiff(tiff.Directory(
        7000, 9000, [fax(drawn(7000, 9000, 220, "1"))], tiff.G4, depth=1, photometric=0)), "sound", "size 7000x9000")


def small_pages():
    kind = "07-small-page-loses-resolution"
    pdf, box = PDF("stream"), (0, 0, 60, 84)
    pdf.scan(pdf.fax(drawn(1240, 1736, 20, "1")), box)
    case(kind, "g4_1240x1736_on_60x84pt.pdf", pdf.bytes(), "size 1240x1736")
    pdf, box = PDF(), (0, 0, 50, 70)
    pdf.scan(pdf.picture(800, 1120, jpeg(drawn(800, 1120, 30), 5), "DCTDecode"), box, b"/Rotate 90")
    case(kind, "jpeg_800x1120_turned.pdf", pdf.bytes(), "size 1120x800")
    pdf, box = PDF(), (10, 10, 70, 94)
    inner = pdf.form(shown(box), b"/XObject << /I " + pdf.fax(drawn(1240, 1736, 20, "1")) + b" >>", box)
    pdf.page(b"/F Do", b"/XObject << /F " + inner + b" >>", box)
    case(kind, "g4_in_form_box_not_at_zero.pdf", pdf.bytes(), "size 1240x1736")
    pdf, box = PDF("stream", "1.6"), (0, 0, 59.5, 84.2)
    pdf.scan(pdf.fax(drawn(1240, 1754, 20, "1")), box, b"/UserUnit 10")
    case(kind, "scan_on_user_unit_of_10.pdf", pdf.bytes(), "size 1240x1754")
    pdf = PDF()
    pdf.scan(pdf.fax(drawn(1240, 1754, 20, "1")), A4)
    case(kind, "sound_scan_150dpi.pdf", pdf.bytes(), "sound", "size 1240x1754")
    pdf = PDF("stream")
    pdf.text(["keeper", "of the", "lamp"], (0, 0, 60, 84), 10)
    case(kind, "sound_small_page_of_text.pdf", pdf.bytes(), "sound", "size 120x168")


def coarse_ground():
    kind = "08-coarse-background"
    ground = jpeg(drawn(298, 421, 40, ink=215, ground=235), 30)

    def page(pdf):
        return pdf.picture(298, 421, ground, "DCTDecode")

    pdf = PDF("stream")
    pdf.page(shown(A4) + typed(lines(30, 60)), b"/XObject << /I " + page(pdf) + b" >> /Font << /F "
             + pdf.add(HELVETICA) + b" >>")
    case(kind, "text_over_picture.pdf", pdf.bytes(), "at-least 1190x1684")
    pdf = PDF()
    form = pdf.form(typed(lines(30, 60)), b"/Font << /F " + pdf.add(HELVETICA) + b" >>", A4)
    pdf.page(shown(A4) + b"/T Do", b"/XObject << /I " + page(pdf) + b" /T " + form + b" >>")
    case(kind, "text_in_form_over_picture.pdf", pdf.bytes(), "at-least 1190x1684")
    pdf = PDF()
    font = pdf.add(b"<< /Type /Font /Subtype /Type3 /FontMatrix [0.001 0 0 0.001 0 0] /FontBBox [0 0 600 700] /FirstChar"
                   b" 97 /LastChar 97 /Widths [600] /Resources << >> /CharProcs << /a "
                   + pdf.stream(b"600 0 0 0 600 700 d1 50 0 100 700 re f 50 0 500 100 re f") + b" >> /Encoding << /Type"
                   b" /Encoding /Differences [97 /a] >> >>")
    pdf.page(shown(A4) + typed(["a" * 30] * 20), b"/XObject << /I " + page(pdf) + b" >> /Font << /F " + font
             + b" >>")
    case(kind, "type3_text_over_picture.pdf", pdf.bytes(), "at-least 1190x1684")
    pdf = PDF("stream")
    text = drawn(828, 1169, 14, "1")
    mask = pdf.picture(828, 1169, fax(text), "CCITTFaxDecode", b"", 1,
                       b"/ImageMask true /DecodeParms << /K -1 /Columns 828 /Rows 1169 >>")
    pdf.page(shown(SMALL) + b"0.1 g " + shown(SMALL, b"M"), b"/XObject << /I "
             + pdf.picture(150, 211, jpeg(drawn(150, 211, 20, ink=215), 30), "DCTDecode") + b" /M " + mask + b" >>", SMALL)
    case(kind, "stencil_200dpi_over_36dpi.pdf", pdf.bytes(), "size 828x1169")
    pdf = PDF()
    text = pdf.add(HELVETICA)
    scan = pdf.fax(drawn(828, 1169, 14, "1"))
    pdf.page(shown(SMALL) + b"BT 3 Tr /F 8 Tf 20 400 Td (text that was recognised before) Tj ET",
             b"/XObject << /I " + scan + b" >> /Font << /F " + text + b" >>", SMALL)
    case(kind, "sound_scan_with_invisible_text.pdf", pdf.bytes(), "sound", "size 828x1169")


def parts():
    kind = "09-scan-in-parts-at-144dpi"
    scan = drawn(828, 1168, 14, "1")

    def assembled(pieces, name, *rules, tables="table", overlap=0, coder=None):
        """pieces: parts of the page as (left, top, right, bottom) in pixels, and by how much each is reduced."""
        pdf = PDF(tables)
        content, names = b"", b""
        for at, (left, top, right, bottom, factor) in enumerate(pieces):
            part = scan.crop((left, top, right, bottom + overlap)).resize(
                ((right - left) // factor, (bottom + overlap - top) // factor))
            picture = coder(pdf, part) if coder else pdf.fax(part)
            spot = [value * .36 for value in (left, 1168 - bottom - overlap, right, 1168 - top)]
            content += shown(spot, b"P%d" % at)
            names += b"/P%d %s " % (at, picture)
        pdf.page(content, b"/XObject << " + names + b">>", (0, 0, 298.08, 420.48))
        case(kind, name, pdf.bytes(), *rules)

    def jpeg_part(pdf, part):
        return pdf.picture(*part.size, jpeg(part.convert("L"), 5), "DCTDecode")

    strips = [(0, at * 292, 828, at * 292 + 292, 1) for at in range(4)]
    tiles = [(x, y, x + 414, y + 584, 1) for y in (0, 584) for x in (0, 414)]
    assembled(strips, "four_g4_strips.pdf", "size 828x1168", tables="stream")
    assembled(tiles, "four_jpeg_tiles.pdf", "size 828x1168", coder=jpeg_part)
    assembled(strips, "strips_that_overlap.pdf", "size 828x1168", overlap=2)
    assembled([(0, 0, 828, 584, 2), (0, 584, 828, 1168, 1)], "halves_of_100_and_200dpi.pdf", "size 828x1168")
    pdf = PDF()
    stamp = pdf.picture(200, 200, jpeg(drawn(200, 200, 20), 30), "DCTDecode")
    pdf.page(typed(lines(20, 60)) + shown((400, 60, 424, 84), b"S") + shown((430, 60, 454, 84), b"S"),
             b"/XObject << /S " + stamp + b" >> /Font << /F " + pdf.add(HELVETICA) + b" >>")
    case(kind, "sound_text_and_two_small_pictures.pdf", pdf.bytes(), "sound", "size 1190x1684")


def make():
    huge()
    small_pages()
    coarse_ground()
    parts()
