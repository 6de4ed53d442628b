"""Kinds 4, 19 and 25: damaged fonts, characters of East Asia without a font, and Type 3 fonts with wrong boxes."""
import io

from fontTools import subset
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.ttLib import TTFont

from .cases import case
from .drawing import lines
from .pdf import HELVETICA, PDF, typed

FACE = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf"
LETTERS = "abcdefghijklmnopqrstuvwxyz "


def truetype():
    font = TTFont(FACE, recalcTimestamp=False)
    cutter = subset.Subsetter(subset.Options(hinting=False, drop_tables=["GPOS", "GSUB", "GDEF", "kern", "FFTM"]))
    cutter.populate(text=LETTERS)
    cutter.subset(font)
    out = io.BytesIO()
    font.save(out, reorderTables=None)
    return out.getvalue()


def cff(data):
    """The same letters as a bare CFF font, named a to z."""
    source = TTFont(io.BytesIO(data))
    glyphs, names = source.getGlyphSet(), source.getBestCmap()
    charstrings, widths = {}, {}
    for name in [".notdef"] + [names[ord(letter)] for letter in LETTERS]:
        pen = T2CharStringPen(glyphs[name].width, glyphs)
        glyphs[name].draw(pen)
        charstrings[name], widths[name] = pen.getCharString(), (glyphs[name].width, 0)
    builder = FontBuilder(2048, isTTF=False)
    builder.setupGlyphOrder(list(charstrings))
    builder.setupCFF("Letters", {"FullName": "Letters", "FontMatrix": [1 / 2048, 0, 0, 1 / 2048, 0, 0]}, charstrings, {})
    builder.setupHorizontalMetrics(widths)
    return builder.font.getTableData("CFF ")


def embedded(pdf, subtype, key, data, more=b""):
    """A simple font with its font program, which may be a reference to nothing."""
    file = data if data.endswith(b" R") else pdf.stream(
        data, b"/Length1 %d " % len(data) + more, ["Flate"] if any(data) else [])
    descriptor = pdf.add(b"<< /Type /FontDescriptor /FontName /ABCDEF+Letters /Flags 32 /FontBBox [-200 -300 1000 900]"
                         b" /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 /" + key + b" " + file
                         + b" >>")
    widths = b" ".join([b"500"] * 95)
    return pdf.add(b"<< /Type /Font /Subtype /" + subtype + b" /BaseFont /ABCDEF+Letters /FirstChar 32 /LastChar 126"
                   b" /Widths [" + widths + b"] /Encoding /WinAnsiEncoding /FontDescriptor " + descriptor + b" >>")


def composite(pdf, data):
    """A Type 0 font over a TrueType program, codes being glyph numbers."""
    file = pdf.stream(data, b"/Length1 %d" % len(data), ["Flate"] if any(data) else [])
    descriptor = pdf.add(b"<< /Type /FontDescriptor /FontName /ABCDEF+Letters /Flags 4 /FontBBox [-200 -300 1000 900]"
                         b" /ItalicAngle 0 /Ascent 800 /Descent -200 /StemV 80 /FontFile2 " + file + b" >>")
    child = pdf.add(b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+Letters /CIDToGIDMap /Identity /DW 500"
                    b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor "
                    + descriptor + b" >>")
    return pdf.add(b"<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Letters /Encoding /Identity-H /DescendantFonts ["
                   + child + b"] >>")


def glyph_codes(rows, first=3):
    """Lines of made-up words as two-byte codes."""
    codes = b"".join(b"<" + b"".join(b"%04x" % (first + (ord(c) * 7) % 24) for c in row) + b"> Tj T*\n" for row in rows)
    return b"BT /F 12 Tf 18 TL 40 780 Td\n" + codes + b"ET\n"


def damaged():
    kind, text, letters = "04-damaged-font", lines(25, 60), truetype()
    compact = cff(letters)
    told = ("told", "says-not install fontconfig")
    fonts = {
        "type1_zeroed": (b"Type1", b"FontFile", bytes(4000), b"/Length2 0 /Length3 0"),
        "cff_zeroed": (b"Type1", b"FontFile3", bytes(4000), b"/Subtype /Type1C"),
        "truetype_cut_at_a_third": (b"TrueType", b"FontFile2", letters[:len(letters) // 3], b""),
        "font_program_is_not_there": (b"TrueType", b"FontFile2", b"99 0 R", b""),
    }
    for at, (name, parts) in enumerate(fonts.items()):
        pdf = PDF("stream" if at % 2 else "table")
        pdf.text(text, font=embedded(pdf, *parts))
        case(kind, name + ".pdf", pdf.bytes(), *told)
    pdf = PDF()
    pdf.page(glyph_codes(text), b"/Font << /F " + composite(pdf, bytes(len(letters))) + b" >>")
    case(kind, "type0_truetype_zeroed.pdf", pdf.bytes(), *told)
    pdf = PDF("stream")
    good, bad = pdf.add(HELVETICA), embedded(pdf, b"TrueType", b"FontFile2", bytes(9000))
    pdf.text(text, font=good)
    pdf.page(typed(text[:5]) + b"BT /G 12 Tf 40 400 Td (and this is in the other font) Tj ET",
             b"/Font << /F " + good + b" /G " + bad + b" >>")
    case(kind, "second_page_one_font_of_two.pdf", pdf.bytes(), "told-only 2")

    pdf = PDF()
    pdf.text(text, font=embedded(pdf, b"TrueType", b"FontFile2", letters))
    pdf.text(text, font=embedded(pdf, b"Type1", b"FontFile3", compact, b"/Subtype /Type1C"))
    pdf.page(glyph_codes(text), b"/Font << /F " + composite(pdf, letters) + b" >>")
    case(kind, "sound_embedded_fonts.pdf", pdf.bytes(), "sound", "pages 3")
    pdf = PDF(version="1.2")
    for face in ("Helvetica", "Times-Roman", "Courier-Bold"):
        font = pdf.add(HELVETICA.replace(b"Helvetica", face.encode()))
        pdf.text(text, font=font)
    case(kind, "sound_standard_fonts.pdf", pdf.bytes(), "sound", "pages 3")


def east_asian():
    texts = {
        "japanese_vertical": ("ja", b"Japan1", b"UniJIS-UCS2-V", "港の台帳を書く人は毎朝ランプを数える"),
        "chinese": ("zh-cn", b"GB1", b"UniGB-UCS2-H", "港口的账簿由看守人每天早晨书写"),
        "korean": ("ko", b"Korea1", b"UniKS-UCS2-H", "항구의 장부는 매일 아침 등대지기가 쓴다"),
    }
    for at, (name, (language, ordering, encoding, text)) in enumerate(texts.items()):
        pdf = PDF("table" if at % 2 else "stream")
        descriptor = pdf.add(b"<< /Type /FontDescriptor /FontName /Harbour /Flags 6 /FontBBox [0 -200 1000 900]"
                             b" /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>")
        child = pdf.add(b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Harbour /DW 1000 /CIDSystemInfo << /Registry"
                        b" (Adobe) /Ordering (" + ordering + b") /Supplement 2 >> /FontDescriptor " + descriptor
                        + b" >>")
        font = pdf.add(b"<< /Type /Font /Subtype /Type0 /BaseFont /Harbour /Encoding /" + encoding
                       + b" /DescendantFonts [" + child + b"] >>")
        codes = text.encode("utf-16-be").hex().encode()
        shown = b"".join(b"<" + codes + b"> Tj T*\n" for _ in range(8))
        pdf.page(b"BT /F 16 Tf 30 TL 300 780 Td\n" + shown + b"ET", b"/Font << /F " + font + b" >>")
        case("19-cjk-fonts-missing", name + ".pdf", pdf.bytes(), f"told-unless-font {language}")
    pdf = PDF()
    font = pdf.add(HELVETICA[:-2] + b"/Encoding /WinAnsiEncoding >>")
    pdf.text(["Caf\\351 \\344 \\366 \\374 \\337 \\361 \\347 at the quay"] * 9, font=font)
    case("19-cjk-fonts-missing", "sound_western_accents.pdf", pdf.bytes(), "sound")


def type3():
    kind = "25-type3-glyph-box"

    def document(boxes, font_box, name, rule, tables="table", glyphs=None):
        pdf = PDF(tables)
        shapes = glyphs or [b"50 0 100 700 re f 50 0 500 100 re f", b"50 0 500 100 re f 450 0 100 700 re f",
                            b"50 300 500 100 re f 250 0 100 700 re f"]
        procs = b"".join(b"/%c %s " % (97 + at, pdf.stream(b"600 0 %s d1 " % box + shape if box else b"600 0 d0 " + shape))
                         for at, (box, shape) in enumerate(zip(boxes, shapes)))
        font = pdf.add(b"<< /Type /Font /Subtype /Type3 /FontMatrix [0.001 0 0 0.001 0 0] /FontBBox [" + font_box
                       + b"] /FirstChar 97 /LastChar 99 /Widths [600 600 600] /Resources << >> /CharProcs << " + procs
                       + b">> /Encoding << /Type /Encoding /Differences [97 /a /b /c] >> >>")
        pdf.text(["abccabbcaabc"] * 12, size=24, font=font)
        case(kind, name + ".pdf", pdf.bytes(), rule)

    good = b"0 0 600 700"
    document([b"0 0 1 1"] * 3, b"0 0 1 1", "both_boxes_1x1", "done", "stream")
    document([b"900 900 950 950"] * 3, good, "glyph_boxes_elsewhere", "done")
    document([b"0 0 0 0"] * 3, good, "glyph_boxes_without_area", "done", "stream")
    dots = b"q 600 0 0 700 0 0 cm BI /W 8 /H 8 /IM true /BPC 1 /D [1 0] ID \xff\x81\x81\x99\x99\x81\x81\xff\nEI Q"
    document([b"0 0 2 2"] * 3, b"0 0 2 2", "bitmap_glyphs_with_small_boxes", "done", glyphs=[dots] * 3)
    document([good] * 3, good, "sound_boxes", "sound")
    document([good] * 3, b"0 0 0 0", "sound_font_box_left_out", "sound", "stream")
    document([b""] * 3, good, "sound_coloured_glyphs", "sound", glyphs=[b"0 0.2 0.4 rg 50 0 400 700 re f"] * 3)


def make():
    damaged()
    east_asian()
    type3()
