"""PDF written by hand, so that everything in it can be wrong in one place only."""
import zlib

from . import drawing

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def number(value):
    return f"{value:.4f}".rstrip("0").rstrip(".").encode() if isinstance(value, float) else str(value).encode()


class PDF:
    """Objects, numbered from 1; `tables` is "table" for an xref table or "stream" for object and xref streams."""

    def __init__(self, tables="table", version="1.5"):
        self.tables, self.version = tables, version
        self.objects = {}          # number -> (dictionary or value, stream or None)
        self.pages = []
        self.catalog = b""         # more entries of the catalog
        self.trailer = b""
        self.count = None          # /Count, where it is not the number of pages
        self.taken = {1, 2}

    def add(self, value, stream=None):
        """An object; returns its reference. A stream's dictionary is given without its brackets and length."""
        at = max(self.taken) + 1
        self.taken.add(at)
        self.objects[at] = (value, stream)
        return b"%d 0 R" % at

    def stream(self, data, more=b"", filters=()):
        """A stream, coded by filters: Flate, LZW, RunLength, or names that stand for data which are coded already."""
        names = []
        for name in filters:
            names.append(b"/" + name.encode() + b"Decode")
            data = {"Flate": zlib.compress, "LZW": drawing.lzw, "RunLength": drawing.run_length}[name](data)
        entry = b" /Filter [" + b" ".join(reversed(names)) + b"]" if names else b""
        return self.add(more + entry, data)

    def page(self, content, resources=b"", box=(0, 0, 595, 842), more=b"", filters=("Flate",)):
        content = content if content.endswith(b" R") else self.stream(content, filters=filters)
        sides = b" ".join(number(side) for side in box)
        page = self.add(b"<< /Type /Page /Parent 2 0 R /MediaBox [" + sides + b"] /Resources << " + resources
                        + b" >> /Contents " + content + b" " + more + b" >>")
        self.pages.append(page)
        return page

    def picture(self, width, height, data, filter, space=b"/DeviceGray", depth=8, more=b""):
        """A picture whose data are coded already by the named filter ("" for none)."""
        head = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent %d" % (width, height, depth)
        head += b" /ColorSpace " + space if space else b""
        head += b" /Filter /" + filter.encode() if filter else b""
        return self.add(head + b" " + more, data)

    def fax(self, image, data=None, more=b""):
        parms = b"/DecodeParms << /K -1 /Columns %d /Rows %d >> " % image.size
        return self.picture(*image.size, drawing.fax(image) if data is None else data, "CCITTFaxDecode", depth=1,
                            more=parms + more)

    def form(self, content, resources, box):
        sides = b" ".join(number(side) for side in box)
        return self.stream(content, b"/Type /XObject /Subtype /Form /BBox [" + sides + b"] /Resources << "
                           + resources + b" >>", ["Flate"])

    def scan(self, picture, box=(0, 0, 595, 842), more=b""):
        """A page that is one picture."""
        return self.page(shown(box), b"/XObject << /I " + picture + b" >>", box, more)

    def text(self, lines, box=(0, 0, 595, 842), size=12, font=None, more=b""):
        """A page of text."""
        return self.page(typed(lines, box, size), b"/Font << /F " + (font or self.add(HELVETICA)) + b" >>", box, more)

    def bytes(self):
        kids = b" ".join(self.pages)
        count = len(self.pages) if self.count is None else self.count
        self.objects.setdefault(1, (b"<< /Type /Catalog /Pages 2 0 R " + self.catalog + b" >>", None))
        entry = b" /Count %d" % count if count != "" else b""
        self.objects.setdefault(2, (b"<< /Type /Pages" + entry + b" /Kids [ " + kids + b" ] >>", None))
        return self.with_streams() if self.tables == "stream" else self.with_table()

    def body(self, at, out, offsets):
        value, stream = self.objects[at]
        offsets[at] = len(out)
        out += b"%d 0 obj\n" % at
        if stream is None:
            out += value
        else:
            out += b"<< " + value + b" /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream"
        out += b"\nendobj\n"

    def with_table(self):
        out, offsets = bytearray(b"%%PDF-%s\n%%\xe2\xe3\xcf\xd3\n" % self.version.encode()), {}
        for at in sorted(self.objects):
            self.body(at, out, offsets)
        size, start = max(self.objects) + 1, len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % size
        for at in range(1, size):
            out += b"%010d 00000 n \n" % offsets[at] if at in offsets else b"0000000000 00000 f \n"
        return bytes(out + b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n"
                     % (size, self.trailer, start))

    def with_streams(self):
        out, offsets = bytearray(b"%%PDF-%s\n%%\xe2\xe3\xcf\xd3\n" % self.version.encode()), {}
        packed = [at for at in sorted(self.objects) if self.objects[at][1] is None]
        for at in sorted(self.objects):
            if at not in packed:
                self.body(at, out, offsets)
        holder = max(self.objects) + 1
        index, values = b"", b""
        for at in packed:
            index += b"%d %d " % (at, len(values))
            values += self.objects[at][0] + b"\n"
        self.objects[holder] = (b"/Type /ObjStm /N %d /First %d /Filter /FlateDecode" % (len(packed), len(index)),
                                zlib.compress(index + values))
        self.body(holder, out, offsets)
        start, size = len(out), holder + 2
        rows = bytearray(bytes([0, 0, 0, 0, 0, 255, 255]))
        for at in range(1, size):
            kind, where, last = (2, holder, packed.index(at)) if at in packed else (
                (1, offsets[at], 0) if at in offsets else (1, start, 0) if at == size - 1 else (0, 0, 0))
            rows += bytes([kind]) + where.to_bytes(4, "big") + last.to_bytes(2, "big")
        self.objects[size - 1] = (b"/Type /XRef /Size %d /W [1 4 2] /Root 1 0 R /Filter /FlateDecode %s"
                                  % (size, self.trailer), zlib.compress(bytes(rows)))
        self.body(size - 1, out, offsets)
        return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def shown(box, name=b"I"):
    """The instructions that spread a picture over a box."""
    x0, y0, x1, y1 = box
    return b"q %s 0 0 %s %s %s cm /%s Do Q\n" % (number(x1 - x0), number(y1 - y0), number(x0), number(y0), name)


def typed(lines, box=(0, 0, 595, 842), size=12):
    """The instructions that write lines in font /F."""
    top, lead = box[3] - size * 2, size * 3 // 2
    texts = b"".join(b"(%s) Tj T*\n" % line.encode() for line in lines)
    return b"BT /F %d Tf %d TL %d %s Td\n" % (size, lead, box[0] + size, number(top)) + texts + b"ET\n"
