"""Small real documents for all tests, made here: nothing is downloaded, nothing is kept as a file."""

# ruff: noqa: RUF001
# (TEXTS is in the scripts that it is in.)

import hashlib
import io
import struct
import zipfile
import zlib

PASSWORD = "sesame"

_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def pdf(pages: list[str], **info: str) -> bytes:
    """A PDF with a text layer, a line of it a line on the page; `info` as Title="…". Characters of cp1252 only.

    Without pages, PDFium opens it without complaint all the same.
    """
    return _pdf(pages, info, key=None)


def encrypted_pdf(pages: tuple[str, ...] = ("Secret words",), *, password: str = PASSWORD) -> bytes:
    """A PDF that opens with `password` only: the standard security handler, 40-bit RC4."""
    return _pdf(list(pages), {}, key=password)


def truncated_pdf() -> bytes:
    """Cut within its first page: neither a page tree nor a cross-reference table is left."""
    return pdf(["A page that has words"])[:300]


def scanned_pdf(pages: int = 1) -> bytes:
    """Pages without any text."""
    return pdf([""] * pages)


def not_a_pdf() -> bytes:
    """Begins like one; the rest is noise."""
    return b"%PDF-1.7\n" + bytes(range(256)) * 8


def png(width: int = 1, height: int = 1) -> bytes:
    rows = b"".join(b"\0" + b"\x20\x80\xc0" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP of these members, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return buffer.getvalue()


def docx(text: str = "A short report") -> bytes:
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    return zipped({
        "[Content_Types].xml": (
            '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>'
        ).encode(),
        "_rels/.rels": (
            '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{relation}" Target="word/document.xml"/></Relationships>'
        ).encode(),
        "word/document.xml": (
            '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
            f"<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
        ).encode(),
    })  # fmt: skip


def ole(*streams: str) -> bytes:
    """An OLE file (before 2007: Word, Excel; today: encrypted Office) whose directory names these streams, without their content."""
    header = bytearray(512)
    header[:8] = bytes.fromhex("d0cf11e0a1b11ae1")
    struct.pack_into("<HHHHH", header, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<IIIIII", header, 44, 1, 1, 0, 4096, 0xFFFFFFFE, 0)
    struct.pack_into("<II109I", header, 68, 0xFFFFFFFE, 0, 0, *[0xFFFFFFFF] * 108)
    entries = b"".join(_ole_entry(name, 5 if name == "Root Entry" else 2) for name in ("Root Entry", *streams))
    directory = entries.ljust(-(-len(entries) // 512) * 512, b"\0")
    count = len(directory) // 512
    fat = [0xFFFFFFFD, *range(2, count + 1), 0xFFFFFFFE]
    return bytes(header) + struct.pack("<128I", *fat, *[0xFFFFFFFF] * (128 - len(fat))) + directory


# Enough real text to tell its encoding by, and the encodings that it is tried in.
TEXTS = {
    "western": (
        ("Die Größe der Straße hängt von der Länge des Weges ab, sagte der Bürgermeister. Le garçon a mangé devant la façade de l'hôtel, "
         "où l'été semblait déjà fini. Mañana por la mañana el señor Núñez volverá con su compañero a la montaña.\n"),
        ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"),
    ),
    "czech": (
        ("Příliš žluťoučký kůň úpěl ďábelské ódy. Zítra odpoledne přijedou hosté z venkova a přivezou s sebou čerstvé ovoce, "
         "domácí chléb a několik lahví vína. Šťastný člověk si nečte smlouvy dřív, než je podepíše.\n"),
        ("utf-8", "utf-16-le", "cp1250"),
    ),
    "russian": (
        ("Вчера вечером мы долго гуляли по берегу реки и говорили о погоде. Съешь ещё этих мягких французских булок, да выпей чаю. "
         "Завтра утром приедет поезд из Москвы, и мы встретим старых друзей на вокзале.\n"),
        ("utf-8", "utf-16", "utf-16-be", "cp866", "cp1251", "koi8_r"),
    ),
    "japanese": (
        ("昨日は雨が降っていたので、家で本を読みました。東京で文字コードについて調べたあと、友達と一緒に公園へ行きました。"
         "明日の朝は早く起きて、電車で海まで行くつもりです。\n"),
        ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "shift_jis", "cp932", "euc_jp"),
    ),
    "chinese": (
        ("今天天气很好，我们一起去公园散步。孩子们在草地上踢足球，老人们坐在树下聊天。"
         "晚上回家以后，妈妈做了很多好吃的菜，大家都非常高兴。\n"),
        ("utf-8", "utf-16-le", "gb18030"),
    ),
    "korean": (
        "오늘은 날씨가 매우 좋아서 친구들과 함께 공원에 갔습니다. 저녁에는 집에서 맛있는 음식을 먹고 일찍 잠을 잤습니다.\n",
        ("utf-8", "euc_kr"),
    ),
}  # fmt: skip


def _pdf(pages: list[str], info: dict[str, str], key: str | None) -> bytes:
    """Objects: 1 catalog, 2 page tree, 3 font, 4 info, then a page and its content in turn."""
    security = _Security(key) if key is not None else None
    kids = [5 + 2 * index for index in range(len(pages))]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % kid for kid in kids), len(kids)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< %s >>" % b" ".join(b"/%s %s" % (name.encode(), _text_string(value)) for name, value in info.items()),
    ]
    for kid, page in zip(kids, pages, strict=True):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % (kid + 1),
        )
        shown = b" ".join(b"%s Tj T*" % _string(line.encode("cp1252")) for line in page.splitlines())
        content = b"BT /F1 12 Tf 14 TL 50 780 Td %s ET" % shown if shown else b""
        if security:
            content = security.encrypt(content, kid + 1)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    if security:
        objects.append(security.dictionary)
    return _laid_out(objects, encrypt=len(objects) if security else 0)


def _laid_out(objects: list[bytes], *, encrypt: int) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    security = b" /Encrypt %d 0 R /ID [<%s> <%s>]" % (encrypt, _Security.ID.hex().encode(), _Security.ID.hex().encode()) if encrypt else b""
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, security, xref)
    return bytes(out)


class _Security:
    """The standard security handler, revision 2 (ISO 32000-1, 7.6.3)."""

    ID = bytes(range(16))
    PERMISSIONS = struct.pack("<i", -4)

    def __init__(self, password: str) -> None:
        padded = (password.encode("latin-1") + _PAD)[:32]
        owner = _rc4(_md5(padded)[:5], padded)
        self.key = _md5(padded + owner + self.PERMISSIONS + self.ID)[:5]
        self.dictionary = b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>" % (
            owner.hex().encode(),
            _rc4(self.key, _PAD).hex().encode(),
        )

    def encrypt(self, data: bytes, number: int) -> bytes:
        return _rc4(_md5(self.key + number.to_bytes(3, "little") + b"\0\0")[:10], data)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + box[i]) % 256
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) % 256])
    return bytes(out)


def _string(data: bytes) -> bytes:
    return b"(" + data.replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)") + b")"


def _text_string(text: str) -> bytes:
    return b"<%s>" % ("\ufeff" + text).encode("utf-16-be", "surrogatepass").hex().encode()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _ole_entry(name: str, kind: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return encoded.ljust(64, b"\0") + struct.pack("<HBB3I", len(encoded), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF).ljust(64, b"\0")


def flate_bomb_pdf(size: int = 1 << 30) -> bytes:
    """A page whose content is one deflated stream of so many bytes: a thousandth of that."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"0 0 m\n" * (1 << 17)) for _ in range(size // (6 << 17))) + packer.flush()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(packed) + packed + b"\nendstream",
    ]  # fmt: skip
    body = b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, content) for number, content in enumerate(objects, 1))
    return body + b"trailer\n<< /Root 1 0 R /Size 5 >>\n%%EOF\n"


def ring_pdf(count: int = 100_000) -> bytes:
    """A tree of pages that is its own child, and says that it has so many."""
    tree = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count %d >>" % count
    body = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n" + tree + b"\nendobj\n"
    return body + b"trailer\n<< /Root 1 0 R /Size 3 >>\n%%EOF\n"


def laughing_svg() -> bytes:
    """Its one word stands for ten of another, which stands for ten of a third, and so on: 10^12 laughs."""
    entities = "".join(f'<!ENTITY {chr(98 + depth)} "{f"&{chr(97 + depth)};" * 10}">' for depth in range(12))
    return f'<!DOCTYPE svg [<!ENTITY a "ha">{entities}]><svg xmlns="http://www.w3.org/2000/svg"><text>&m;</text></svg>'.encode()


def png_bomb(side: int = 30_000) -> bytes:
    """A picture of side x side pixels, all black, in some hundred kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
