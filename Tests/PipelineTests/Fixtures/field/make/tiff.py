"""TIFF written by hand: any tag with any type, in either byte order, with sub-directories."""
import struct

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG = 1, 2, 3, 4, 5, 7, 9
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, SLONG: 4, 16: 8}
CODES = {BYTE: "B", SHORT: "H", LONG: "I", SLONG: "i", 16: "Q"}
NONE, G3, G4, LZW, JPEG, DEFLATE, PACKBITS = 1, 3, 4, 5, 7, 8, 32773


class Directory:
    """One picture: its tags and its coded strips or tiles."""

    def __init__(self, width, height, strips, compression=NONE, depth=8, channels=1, photometric=1, rows=None, **tags):
        self.strips, self.children = strips, []
        self.tags = {
            256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [depth] * channels),
            259: (SHORT, [compression]), 262: (SHORT, [photometric]), 277: (SHORT, [channels]),
        }
        if rows != "tiles":
            self.tags[278] = (LONG, [rows or height])
        self.tags |= {int(name[1:]): value for name, value in tags.items()}


def resolution(x, y, unit=2):
    """Tags of dots an inch (unit 2) or a centimetre (3)."""
    return dict(t282=(RATIONAL, [(round(x * 100), 100)]), t283=(RATIONAL, [(round(y * 100), 100)]),
                t296=(SHORT, [unit]))


def tiff(*directories, order="<", big=False):
    """The file's bytes."""
    word, offset, entry = ("Q", 16, 20) if big else ("I", LONG, 12)
    out = bytearray(b"II" if order == "<" else b"MM")
    out += struct.pack(order + "HHH", 43, 8, 0) if big else struct.pack(order + "H", 42)
    link = len(out)
    out += bytes(8 if big else 4)

    def value_bytes(kind, values):
        if isinstance(values, bytes):
            return values
        if kind == RATIONAL:
            return b"".join(struct.pack(order + "II", *value) for value in values)
        return struct.pack(f"{order}{len(values)}{CODES[kind]}", *values)

    def write(directory):
        places = []
        for strip in directory.strips:
            places.append(len(out))
            out.extend(strip + b"\0" * (len(strip) % 2))
        tags = dict(directory.tags)
        where, sizes = (324, 325) if 322 in tags else (273, 279)
        tags.setdefault(where, (offset, places))
        tags.setdefault(sizes, (offset, [len(strip) for strip in directory.strips]))
        if directory.children:
            tags[330] = (offset, [write(child)[0] for child in directory.children])
        fields = b""
        for tag in sorted(tags):
            kind, values = tags[tag]
            data = value_bytes(kind, values)
            fields += struct.pack(f"{order}HH{word}", tag, kind, len(data) // SIZES[kind])
            room = 8 if big else 4
            if len(data) > room:
                fields += struct.pack(order + word, len(out))
                out.extend(data + b"\0" * (len(data) % 2))
            else:
                fields += data.ljust(room, b"\0")
        at = len(out)
        out.extend(struct.pack(order + ("Q" if big else "H"), len(tags)) + fields + bytes(8 if big else 4))
        return at, len(out) - (8 if big else 4)

    for directory in directories:
        at, next_link = write(directory)
        out[link:link + (8 if big else 4)] = struct.pack(order + word, at)
        link = next_link
    return bytes(out)
