"""Kinds 15, 16, 18, 21, 23 and 24: encryption, passwords, attachments, files that only mention PDF, and page trees."""
import pathlib
import subprocess
import tempfile

from .cases import beside, case
from .drawing import lines
from .pdf import PDF


def letter(tables="table", pages=1):
    pdf = PDF(tables)
    for page in range(pages):
        pdf.text(lines(20, 60, page + 1))
    return pdf


def encrypted(user, owner, *options):
    """A letter encrypted by qpdf, with keys by chance where they have 256 bits."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "a.pdf"), pathlib.Path(folder, "b.pdf")
        source.write_bytes(letter().bytes())
        subprocess.run(["qpdf", "--static-id", "--static-aes-iv", "--allow-weak-crypto", "--encrypt", user, owner,
                        *options, "--", source, target], check=True)
        return target.read_bytes()


def certificates():
    kind = "15-certificate-encryption"
    rules = ("says-not put its password", "says certificate|rights|not supported|not read|no password can")
    handlers = {
        "recipients_aes256": b"/Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s5 /V 5 /Length 256 /CF << /DefaultCryptFilter"
                             b" << /CFM /AESV3 /Recipients [<3082>] /Length 256 >> >> /StmF /DefaultCryptFilter"
                             b" /StrF /DefaultCryptFilter",
        "recipients_of_pdf_13": b"/Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s3 /V 1 /Recipients [<3082>]",
        "rights_management_fileopen": b"/Filter /FOPN_fLock /V 1 /VEID (1) /BUILD (1)",
        "rights_management_ebx": b"/Filter /EBX_HANDLER /V 4 /EBX_PUBLISHER (a) /Length 128",
    }
    for at, (name, entries) in enumerate(handlers.items()):
        pdf = letter("stream" if at % 2 else "table")
        pdf.trailer = b"/ID [<00112233><00112233>] /Encrypt " + pdf.add(b"<< " + entries + b" >>")
        case(kind, name + ".pdf", pdf.bytes(), *rules)
    case(kind, "password_is_wanted.pdf", encrypted("quay", "mast", "128"), "says put its password")
    case(kind, "sound_owner_password_only.pdf", encrypted("", "mast", "256"), "sound")


def passwords():
    kind = "16-password-file-from-windows"
    word = "quay-Größe"
    files = {
        "utf16_little_endian": (word, b"\xff\xfe" + word.encode("utf-16-le"), "done"),
        "utf16_big_endian_line": (word, b"\xfe\xff" + (word + "\r\n").encode("utf-16-be"), "done"),
        "utf8_bom_line": (word, b"\xef\xbb\xbf" + (word + "\r\nnot this").encode(), "done"),
        "sound_plain": ("quay", b"quay", "sound"),
        "sound_line": (word, (word + "\n").encode(), "sound"),
    }
    for name, (password, file, rule) in files.items():
        case(kind, name + ".pdf", encrypted(password, "mast", "256"), rule)
        beside(kind, name + ".pdf.password", file)


def attachments():
    kind = "18-attachments-not-mentioned"

    def attached(pdf, name):
        file = pdf.stream(b"what is in it", b"/Type /EmbeddedFile", ["Flate"])
        return pdf.add(b"<< /Type /Filespec /F " + name + b" /UF " + name + b" /EF << /F " + file + b" >> >>")

    pdf = letter("stream")
    leaf = pdf.add(b"<< /Limits [(a) (b)] /Names [(a) " + attached(pdf, b"(annex-a.txt)") + b" (b) "
                   + attached(pdf, b"(annex-b.xls)") + b"] >>")
    pdf.catalog = b"/Names << /EmbeddedFiles << /Kids [" + leaf + b"] >> >>"
    case(kind, "names_in_a_tree.pdf", pdf.bytes(), "mentions annex-a.txt annex-b.xls")
    pdf = letter()
    note = pdf.add(b"<< /Type /Annot /Subtype /FileAttachment /Rect [500 700 520 720] /FS "
                   + attached(pdf, b"(pinned-here.pdf)") + b" >>")
    page = int(pdf.pages[0].split()[0])
    pdf.objects[page] = (pdf.objects[page][0][:-2] + b"/Annots [" + note + b"] >>", None)
    case(kind, "pinned_to_a_page.pdf", pdf.bytes(), "mentions pinned-here.pdf")
    pdf = letter("stream")
    wide = b"<feff" + "Brief_Größe.pdf".encode("utf-16-be").hex().encode() + b">"
    file = attached(pdf, wide)
    pdf.catalog = b"/AF [" + file + b"] /Names << /EmbeddedFiles << /Names [(x) " + file + b"] >> >>"
    case(kind, "name_in_utf16.pdf", pdf.bytes(), "mentions Brief_Größe.pdf")
    pdf = letter(pages=2)
    pdf.catalog = b"/Names << /EmbeddedFiles << /Names [] >> /Dests << /Names [] >> >>"
    case(kind, "sound_empty_list.pdf", pdf.bytes(), "sound", "pages 2")


def mentions():
    kind = "21-text-taken-for-pdf"
    case(kind, "first-words.txt", b"%PDF-1.4 is how every PDF file begins.\nThis is none.\n" * 3, "ignored")
    case(kind, "page.html", b"<!DOCTYPE html>\n<html><body><pre>%PDF-1.7</pre></body></html>\n", "ignored")
    case(kind, "reader.py", b'import sys\nprint(open(sys.argv[1], "rb").read(5) == b"%PDF-")\n', "ignored")
    case(kind, "pdf_after_a_mail_header.pdf", b"Content-Type: application/pdf\r\nX: y\r\n\r\n" + letter().bytes(), "done")
    case(kind, "sound_of_version_2.pdf", letter().bytes().replace(b"%PDF-1.5", b"%PDF-2.0"), "sound")


def tree(name, kind, kids, *rules, tables="table", count=None, nested=None, pages=4):
    """A document whose list of pages is not as it should be; kids may hold %d for the pages in order."""
    pdf = letter(tables, pages)
    if nested:
        groups = [pdf.pages[:2], pdf.pages[2:]]
        nodes = [pdf.add(b"<< /Type /Pages /Parent 2 0 R /Count %s /Kids [%s] >>" % (nested, b" ".join(group)))
                 for group in groups]
        for node, group in zip(nodes, groups):
            for page in group:
                value = pdf.objects[int(page.split()[0])][0]
                pdf.objects[int(page.split()[0])] = (value.replace(b"/Parent 2 0 R", b"/Parent " + node), None)
        pdf.pages = nodes
    elif kids:
        pdf.pages = [pdf.pages[kid] if isinstance(kid, int) else kid for kid in kids]
    pdf.count = count
    case(kind, name + ".pdf", pdf.bytes(), *rules)


def trees():
    kind = "23-page-numbers-shift"
    tree("first_of_3_is_not_there", kind, [b"99 0 R", 1, 2], "failed-only 1", "pages 3", pages=3)
    tree("last_of_3_is_null", kind, [0, 1, b"null"], "failed-only 3", "pages 3", tables="stream", pages=3)
    tree("third_of_4_is_a_number", kind, [0, 1, b"7", 3], "failed-only 3", "pages 4")
    tree("second_of_3_is_a_font", kind, [0, b"<< /Type /Font >>", 2], "failed-only 2", "pages 3", tables="stream", pages=3)
    tree("sound_nested", kind, None, "sound", "pages 4", nested=b"2", count=4)
    kind = "24-count-too-small"
    tree("nested_1_of_2", kind, None, "pages-or-note 4", nested=b"1", count=2)
    tree("no_count", kind, [0, 1, 2, 3], "pages-or-note 4", count="", tables="stream")
    tree("count_0_of_4", kind, [0, 1, 2, 3], "pages-or-note 4", count=0)
    tree("count_6_of_4", kind, [0, 1, 2, 3], "pages-or-note 4", count=6, tables="stream")
    tree("sound_count", kind, [0, 1, 2, 3], "sound", "pages 4", tables="stream")


def make():
    certificates()
    passwords()
    attachments()
    mentions()
    trees()
