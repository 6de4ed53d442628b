#include "Fonts.h"

#include <cstring>
#include <memory>
#include <vector>

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <GfxFont.h>
#include <fofi/FoFiTrueType.h>

#include "Text.h"

namespace {

FT_Library freeType() {
    static FT_Library library = [] {
        FT_Library made = nullptr;
        return FT_Init_FreeType(&made) == 0 ? made : nullptr;
    }();
    return library;
}

struct Face {
    FT_Face face = nullptr;
    ~Face() {
        if (face) FT_Done_Face(face);
    }
};

// The glyph of a code within an embedded font; -1 where that cannot be said without drawing.
class Glyphs {
public:
    Glyphs(GfxFont &font, FT_Face face, const std::vector<unsigned char> &bytes) : font(font), face(face) {
        if (font.getType() == fontTrueType || font.getType() == fontTrueTypeOT) {
            auto file = FoFiTrueType::make(bytes.data(), static_cast<int>(bytes.size()), 0);
            if (file) map.reset(static_cast<Gfx8BitFont &>(font).getCodeToGIDMap(file.get()), std::free);
        }
    }

    long of(CharCode code) const {
        switch (font.getType()) {
        case fontTrueType:
        case fontTrueTypeOT: return map && code < 256 ? map.get()[code] : -1;
        case fontType1:
        case fontType1C:
        case fontType1COT: {
            const char *name = code < 256 ? static_cast<Gfx8BitFont &>(font).getCharName(static_cast<int>(code)) : nullptr;
            if (!name || !FT_HAS_GLYPH_NAMES(face)) return -1;
            FT_UInt glyph = FT_Get_Name_Index(face, name);
            return glyph == 0 ? -1 : static_cast<long>(glyph);
        }
        case fontCIDType2:
        case fontCIDType2OT: {
            // The code is the glyph in by far the most documents; others are not looked at here.
            const auto &cid = static_cast<const GfxCIDFont &>(font);
            if (cid.getEncodingName() != "Identity-H" && cid.getEncodingName() != "Identity-V") return -1;
            if (!cid.getCIDToGID()) return static_cast<long>(code);
            return code < cid.getCIDToGIDLen() ? cid.getCIDToGID()[code] : -1;
        }
        default: return -1;
        }
    }

private:
    GfxFont &font;
    FT_Face face;
    std::shared_ptr<int> map;
};

bool leavesInk(FT_Face face, long glyph) {
    if (glyph < 0 || glyph >= face->num_glyphs) return false;
    if (FT_Load_Glyph(face, static_cast<FT_UInt>(glyph), FT_LOAD_NO_HINTING | FT_LOAD_NO_SCALE) != 0) return false;
    return face->glyph->format != FT_GLYPH_FORMAT_OUTLINE || face->glyph->outline.n_points > 0;
}

// Some glyph of the whole font, where those of the text cannot be told. A subset has few, anywhere.
bool hasGlyphs(FT_Face face) {
    for (long glyph = 0; glyph < face->num_glyphs; glyph++) {
        if (leavesInk(face, glyph)) return true;
    }
    return false;
}

// Fewer characters can all be without ink in a sound font.
constexpr int leastKnown = 6;

bool isDamaged(QuirePDF &document, const Used &used) {
    auto bytes = used.font->readEmbFontFile(document.doc->getXRef());
    if (!bytes || bytes->empty()) return true;
    Face face;
    if (FT_New_Memory_Face(freeType(), bytes->data(), static_cast<FT_Long>(bytes->size()), 0, &face.face) != 0) {
        return true;
    }
    if (face.face->num_glyphs == 0) return true;
    Glyphs glyphs(*used.font, face.face, *bytes);
    int known = 0, inked = 0;
    for (auto [code, unicode] : used.characters) {
        long glyph = glyphs.of(code);
        // What has no meaning, or none that is seen, may well be a glyph without ink.
        if (glyph < 0 || unicode <= ' ' || unicode >= 0xE000) continue;
        known++;
        if (leavesInk(face.face, glyph)) inked++;
    }
    if (inked > 0) return inked * 2 < known && known >= leastKnown;
    return known >= leastKnown || !hasGlyphs(face.face);
}

// Letters of other scripts only: ligatures, symbols and private characters are often drawn by another way.
bool isLetter(Unicode character) {
    return (character >= 0x370 && character < 0x1D00) || (character >= 0x2E80 && character < 0xD7FF) ||
           (character >= 0xF900 && character < 0xFB00) || (character >= 0xFE70 && character < 0xFEFF) ||
           (character >= 0x20000 && character < 0x30000);
}

std::string missing(QuirePDF &document, const Used &used) {
    bool hasLetters = false;
    for (auto [code, unicode] : used.characters) hasLetters = hasLetters || isLetter(unicode);
    if (!hasLetters) return "";
    auto place = used.font->locateFont(document.doc->getXRef(), nullptr);
    Face face;
    if (place && place->locType == gfxFontLocExternal) {
        FT_New_Face(freeType(), place->path.c_str(), place->fontNum, &face.face);
    }
    std::string text;
    for (auto [code, unicode] : used.characters) {
        if (!isLetter(unicode)) continue;
        if (!face.face || FT_Get_Char_Index(face.face, unicode) == 0) appendUTF8(text, unicode);
    }
    return text;
}

}  // namespace

FontState stateOf(QuirePDF &document, const Used &used) {
    FontState state;
    if (!freeType() || !used.font->isOk() || used.font->getType() == fontType3) return state;
    Ref embedded;
    if (used.font->getEmbeddedFontID(&embedded)) {
        auto place = std::make_pair(embedded.num, embedded.gen);
        if (document.soundFonts.count(place)) return state;
        state.isDamaged = isDamaged(document, used);
        if (!state.isDamaged) document.soundFonts.insert(place);
    } else {
        state.missing = missing(document, used);
    }
    return state;
}

void quire_pdf_mend_fonts(QuirePDF *document) {
    XRef *xref = document->doc->getXRef();
    for (Ref reference : document->damagedFonts) {
        Object font = xref->fetch(reference);
        if (!font.isDict()) continue;
        // The descriptor is the font's own, or that of the font below it.
        Object below = font.dictLookup("DescendantFonts");
        Object owner = below.isArray() && below.arrayGetLength() > 0 ? below.arrayGet(0) : font.copy();
        if (!owner.isDict()) continue;
        const Object &place = owner.getDict()->lookupNF("FontDescriptor");
        Object descriptor = place.fetch(xref);
        if (!descriptor.isDict() || !place.isRef()) continue;
        Object changed(descriptor.getDict()->copy(xref));
        for (const char *key : {"FontFile", "FontFile2", "FontFile3"}) changed.getDict()->remove(key);
        xref->setModifiedObject(&changed, place.getRef());
    }
    document->damagedFonts.clear();
    // Splash cuts glyphs that it keeps off at the font's box, and draws as they are those that do not lie in it.
    for (Ref reference : document->boxedFonts) {
        Object font = xref->fetch(reference);
        if (!font.isDict()) continue;
        auto *box = new Array(xref);
        for (double side : {-1e6, -1e6, -1e6 + 1, -1e6 + 1}) box->add(Object(side));
        Object changed(font.getDict()->copy(xref));
        changed.dictSet("FontBBox", Object(box));
        xref->setModifiedObject(&changed, reference);
    }
    document->boxedFonts.clear();
}
