"""Kinds 1 to 3: scans beyond what cairo takes, pictures that cannot be decoded, and pictures of which a part is there."""
import zlib

from PIL import Image

from . import tiff
from .cases import case
from .drawing import (bits, fax, file_of, jbig2, jpeg, jpx, lines, lzw, png, run_length, typed as drawn, zeroed)
from .pdf import PDF, shown

A4 = (0, 0, 595, 842)


def large():
    kind = "01-large-scan-in-pdf"
    pdf = PDF("stream")
    box = (0, 0, 96, 7920)
    pdf.scan(pdf.fax(drawn(400, 33000, 40, "1")), box)
    case(kind, "roll_400x33000_g4_object_streams.pdf", pdf.bytes(), "done")

    pdf, box = PDF(), (0, 0, 7920, 72)
    strip = pdf.picture(33000, 300, zlib.compress(bits(drawn(33000, 300, 40, "1")), 9), "FlateDecode", depth=1)
    pdf.scan(strip, box, b"/Rotate 90")
    case(kind, "strip_33000x300_flate_turned.pdf", pdf.bytes(), "done")

    pdf, box = PDF(), (0, 0, 28.8, 7920)
    roll = pdf.picture(120, 33000, jpeg(drawn(120, 33000, 30), 5), "DCTDecode")
    inner = pdf.form(shown(box), b"/XObject << /I " + roll + b" >>", box)
    pdf.page(b"/F Do", b"/XObject << /F " + pdf.form(b"/G Do", b"/XObject << /G " + inner + b" >>", box) + b" >>", box)
    pdf.text(lines(20, 60))
    case(kind, "roll_in_nested_forms_then_text.pdf", pdf.bytes(), "done", "pages 2")

    pdf, box = PDF(version="1.3"), (0, 0, 72, 8400)
    mask = pdf.picture(300, 35000, fax(drawn(300, 35000, 40, "1")), "CCITTFaxDecode", b"", 1,
                       b"/ImageMask true /DecodeParms << /K -1 /Columns 300 /Rows 35000 >>")
    pdf.scan(mask, box)
    case(kind, "roll_as_stencil.pdf", pdf.bytes(), "done")

    pdf, box = PDF(), (0, 0, 96, 7656)
    pdf.scan(pdf.fax(drawn(400, 31900, 40, "1")), box)
    case(kind, "sound_roll_400x31900.pdf", pdf.bytes(), "sound")


def undecodable():
    kind, scan = "02-undecodable-is-blank", drawn(620, 877)
    black = drawn(620, 877, mode="1")
    codes = {
        "dct_zeroed": ("DCTDecode", 8, zeroed(jpeg(scan), 2, 9000)),
        "lzw_of_ones": ("LZWDecode", 8, b"\xff" * 4000),
        "ccitt_zeroed": ("CCITTFaxDecode", 1, bytes(3000)),
        "jbig2_zeroed": ("JBIG2Decode", 1, bytes(3000)),
        "jpx_head_only": ("JPXDecode", 8, jpx(scan)[:100]),
        "run_length_empty": ("RunLengthDecode", 8, b"\x80"),
    }
    for at, (name, (filter, depth, data)) in enumerate(codes.items()):
        pdf = PDF("stream" if at % 2 else "table")
        more = b"/DecodeParms << /K -1 /Columns 620 /Rows 877 >>" if filter == "CCITTFaxDecode" else b""
        pdf.scan(pdf.picture(620, 877, data, filter, depth=depth, more=more), A4)
        case(kind, name + ".pdf", pdf.bytes(), "told")

    pdf = PDF()
    pdf.page(b"q 595 0 0 842 0 0 cm BI /W 620 /H 877 /BPC 8 /CS /G /F /Fl ID " + bytes(2000) + b"\nEI Q")
    case(kind, "inline_flate_zeroed.pdf", pdf.bytes(), "told")
    pdf = PDF("stream")
    pdf.page(b"/Missing Do", b"/XObject << /Missing 99 0 R >>")
    case(kind, "form_is_not_there.pdf", pdf.bytes(), "told")
    pdf = PDF()
    pdf.page(b"99 0 R")
    case(kind, "contents_are_not_there.pdf", pdf.bytes(), "told")
    pdf = PDF()
    text = pdf.stream(b"BT ET", filters=["Flate"])
    pdf.objects[int(text.split()[0])] = (b"/Filter /LZWDecode", b"\xff" * 900)
    pdf.page(text)
    case(kind, "content_lzw_of_ones.pdf", pdf.bytes(), "told")

    for name, tables in (("no_contents", "table"), ("empty_contents", "stream")):
        pdf = PDF(tables)
        pdf.page(b"")
        if name == "no_contents":
            at = int(pdf.pages[0].split()[0])
            pdf.objects[at] = (pdf.objects[at][0].split(b"/Contents")[0] + b">>", None)
        case(kind, f"blank_{name}.pdf", pdf.bytes(), "blank")
    pdf = PDF()
    white = Image.new("1", (620, 877), 1)
    pdf.scan(pdf.fax(white), A4)
    pdf.scan(pdf.picture(620, 877, jbig2(white), "JBIG2Decode", depth=1), A4)
    pdf.scan(pdf.picture(620, 877, jpeg(white.convert("L")), "DCTDecode"), A4)
    case(kind, "blank_scans_of_three_codecs.pdf", pdf.bytes(), "blank", "pages 3")
    pdf = PDF("stream")
    pdf.scan(pdf.fax(black), A4)
    pdf.scan(pdf.picture(620, 877, jbig2(black), "JBIG2Decode", depth=1), A4)
    pdf.scan(pdf.picture(620, 877, jpx(scan), "JPXDecode"), A4)
    pdf.scan(pdf.picture(620, 877, lzw(bits(black)), "LZWDecode", depth=1), A4)
    pdf.scan(pdf.picture(620, 877, run_length(bits(black)), "RunLengthDecode", depth=1), A4)
    case(kind, "sound_scans_of_five_codecs.pdf", pdf.bytes(), "sound", "pages 5")


def cut():
    kind, scan = "03-half-a-picture-is-done", drawn(620, 877)
    black = drawn(620, 877, mode="1")
    flate = zlib.compress(scan.tobytes(), 9)
    codes = {
        "progressive_jpeg_cut": ("DCTDecode", 8, jpeg(scan, progressive=True), .3),
        "flate_cut": ("FlateDecode", 8, flate, .5),
        "g4_cut": ("CCITTFaxDecode", 1, fax(black), .6),
        "lzw_cut": ("LZWDecode", 1, lzw(bits(black)), .5),
        "run_length_cut": ("RunLengthDecode", 1, run_length(bits(black)), .5),
        "jbig2_cut": ("JBIG2Decode", 1, jbig2(black), .6),
    }
    for at, (name, (filter, depth, data, share)) in enumerate(codes.items()):
        pdf = PDF("table" if at % 2 else "stream")
        more = b"/DecodeParms << /K -1 /Columns 620 /Rows 877 >>" if filter == "CCITTFaxDecode" else b""
        pdf.scan(pdf.picture(620, 877, data[:int(len(data) * share)], filter, depth=depth, more=more), A4)
        case(kind, name + ".pdf", pdf.bytes(), "told")

    pdf = PDF()
    data = jpeg(scan)
    half = pdf.picture(620, 877, data[:len(data) // 2], "DCTDecode")
    inner = pdf.form(shown(A4), b"/XObject << /I " + half + b" >>", A4)
    pdf.text(lines(20, 60))
    pdf.page(b"/F Do", b"/XObject << /F " + inner + b" >>")
    case(kind, "jpeg_cut_in_form_on_page_2.pdf", pdf.bytes(), "told-only 2")

    case(kind, "cut.jpg", data[:len(data) // 2], "told")
    case(kind, "cut_progressive.jpg", (lambda d: d[:len(d) // 4])(jpeg(scan, progressive=True)), "told")
    picture = png(scan)
    case(kind, "cut.png", picture[:len(picture) * 2 // 3], "told")
    rows = [bits(black)[at * 78 * 50:(at + 1) * 78 * 50] for at in range(18)]
    whole = tiff.tiff(tiff.Directory(620, 877, rows, depth=1, rows=50))
    directory = tiff.Directory(620, 877, rows, depth=1, rows=50)
    directory.tags[273] = (tiff.LONG, [8 + at * 3900 if at < 9 else len(whole) + at * 3900 for at in range(18)])
    case(kind, "strips_beyond_the_end.tif", tiff.tiff(directory), "told")

    case(kind, "sound_no_end_marker.jpg", data[:-2], "sound")
    case(kind, "sound_bytes_after_the_end.jpg", data + b"copied by a scanner" * 9, "sound")
    pdf = PDF()
    pdf.scan(pdf.picture(620, 877, data[:-2], "DCTDecode"), A4)
    pdf.scan(pdf.picture(620, 877, flate[:-4], "FlateDecode"), A4)
    pdf.scan(pdf.picture(620, 877, zlib.compress(scan.tobytes() + bytes(700), 9), "FlateDecode"), A4)
    case(kind, "sound_without_the_last_bytes.pdf", pdf.bytes(), "sound", "pages 3")
    case(kind, "sound_restart_markers.jpg", jpeg(scan, restart_marker_rows=2), "sound")
    case(kind, "sound_progressive.jpg", file_of(scan, "JPEG", quality=30, progressive=True), "sound")


def make():
    large()
    undecodable()
    cut()
