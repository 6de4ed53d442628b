#include "Inventory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <Gfx.h>
#include <GfxFont.h>

#include "Messages.h"
#include "Pictures.h"

namespace {

// Codes of a font that are looked at.
constexpr size_t mostCodes = 48;
// Pictures of a page that are kept: more are none that fill it together.
constexpr size_t mostPictures = 4096;

bool isWhite(GfxState *state, bool isStroke) {
    GfxRGB colour;
    if (isStroke) {
        state->getStrokeRGB(&colour);
    } else {
        state->getFillRGB(&colour);
    }
    // Sixteen bits, of which one is a whole.
    const int light = gfxColorComp1 - gfxColorComp1 / 12;
    return colour.r > light && colour.g > light && colour.b > light;
}

}  // namespace

void Inventory::leavesBox() {
    for (const Ref &font : boxedFonts) {
        if (font == glyphFont) return;
    }
    boxedFonts.push_back(glyphFont);
}

bool Inventory::shading() {
    paths++;
    lastPath = ++order;
    return true;
}

void Inventory::path(GfxState *state, bool isStroke) {
    if (glyphs > 0) {
        if (!hasBox) return;
        // How far the path reaches beyond the glyph's box, on the page.
        const GfxPath *path = state->getPath();
        double reach = 0;
        for (int i = 0; i < path->getNumSubpaths(); i++) {
            const GfxSubpath *part = path->getSubpath(i);
            for (int j = 0; j < part->getNumPoints(); j++) {
                double x, y;
                state->transform(part->getX(j), part->getY(j), &x, &y);
                reach = std::max({reach, box[0] - x, x - box[2], box[1] - y, y - box[3]});
            }
        }
        if (reach > 0.5) leavesBox();
        return;
    }
    ++order;
    GfxColorSpace *space = isStroke ? state->getStrokeColorSpace() : state->getFillColorSpace();
    double opacity = isStroke ? state->getStrokeOpacity() : state->getFillOpacity();
    if (opacity <= 0 || (space->getMode() != csPattern && isWhite(state, isStroke))) return;
    double left, top, right, bottom;
    state->getClipBBox(&left, &top, &right, &bottom);
    if (right <= left || bottom <= top || state->getPath()->getNumSubpaths() == 0) return;
    paths++;
    lastPath = order;
}

bool Inventory::isSeen(GfxState *state, double x, double y) const {
    // Neither filled nor stroked: text laid over a scan to be searched.
    int mode = state->getRender() & 3;
    if (mode == 3) return false;
    bool isStroke = mode == 1;
    GfxColorSpace *space = isStroke ? state->getStrokeColorSpace() : state->getFillColorSpace();
    if ((isStroke ? state->getStrokeOpacity() : state->getFillOpacity()) <= 0) return false;
    if (space->getMode() != csPattern && isWhite(state, isStroke)) return false;
    double atX, atY, left, top, right, bottom;
    state->transform(x, y, &atX, &atY);
    state->getClipBBox(&left, &top, &right, &bottom);
    return atX >= left && atX <= right && atY >= top && atY <= bottom;
}

Used *Inventory::used(GfxState *state) {
    const auto &font = state->getFont();
    if (!font) return nullptr;
    auto [place, isNew] = fontPlaces.emplace(*font->getID(), fonts.size());
    if (isNew) fonts.push_back({font, {}});
    return &fonts[place->second];
}

void Inventory::drawChar(
    GfxState *state, double x, double y, double, double, double originX, double originY, CharCode code, int,
    const Unicode *unicode, int length) {
    ++order;
    if (!isSeen(state, x - originX, y - originY)) return;
    Unicode first = length > 0 && unicode ? unicode[0] : 0;
    if (first == ' ' || first == 0xA0 || first == 0xAD || (first >= 0x2000 && first <= 0x200F) || first == 0x3000) return;
    if (Used *font = used(state)) {
        if (font->characters.size() < mostCodes) font->characters.emplace(code, first);
    }
    // Without a meaning it may be a space.
    if (first == 0) return;
    characters++;
    lastCharacter = order;
}

bool Inventory::beginType3Char(
    GfxState *state, double x, double y, double, double, CharCode code, const Unicode *unicode, int length) {
    if (glyphs == 0) {
        ++order;
        Unicode first = length > 0 && unicode ? unicode[0] : 0;
        if (isSeen(state, x, y) && first != ' ' && first != 0xA0) {
            characters++;
            lastCharacter = order;
        }
    }
    const auto &font = state->getFont();
    const char *name = font && !font->isCIDFont() && code < 256
                           ? static_cast<Gfx8BitFont &>(*font).getCharName(static_cast<int>(code)) : nullptr;
    expectNoGlyph(!name || std::strcmp(name, "space") == 0 || std::strcmp(name, ".notdef") == 0);
    // Each glyph is gone through once.
    if (!font || glyphs > 4 || !glyphsDone.insert({font->getID()->num, code}).second) return true;
    if (glyphs++ == 0) glyphFont = *font->getID();
    hasBox = false;
    return false;
}

void Inventory::endType3Char(GfxState *) {
    expectNoGlyph(false);
    if (glyphs > 0) glyphs--;
    hasBox = false;
}

void Inventory::type3D1(GfxState *state, double, double, double llx, double lly, double urx, double ury) {
    const double xs[] = {llx, urx, llx, urx}, ys[] = {lly, lly, ury, ury};
    box[0] = box[1] = 1e30;
    box[2] = box[3] = -1e30;
    for (int i = 0; i < 4; i++) {
        double x, y;
        state->transform(xs[i], ys[i], &x, &y);
        box[0] = std::min(box[0], x);
        box[1] = std::min(box[1], y);
        box[2] = std::max(box[2], x);
        box[3] = std::max(box[3], y);
    }
    hasBox = true;
}

QuirePDFPicture &Inventory::picture(
    GfxState *state, Stream *stream, long long width, long long height, bool isStencil) {
    QuirePDFPicture picture = {};
    const double *m = state->getCTM();
    std::copy(m, m + 6, picture.matrix);
    picture.width = width;
    picture.height = height;
    picture.isStencil = isStencil;
    picture.rows = picture.maskRows = picture.maskHeight = -1;
    picture.order = ++order;
    switch (stream->getKind()) {
    case strDCT: picture.kind = QUIRE_PDF_JPEG; break;
    case strJPX: picture.kind = QUIRE_PDF_JPX; break;
    case strJBIG2: picture.kind = QUIRE_PDF_JBIG2; break;
    default: picture.kind = QUIRE_PDF_RASTER;
    }
    if (glyphs > 0 && hasBox) {
        for (double x : {m[4], m[0] + m[4], m[2] + m[4], m[0] + m[2] + m[4]}) {
            if (x < box[0] - 0.5 || x > box[2] + 0.5) leavesBox();
        }
        for (double y : {m[5], m[1] + m[5], m[3] + m[5], m[1] + m[3] + m[5]}) {
            if (y < box[1] - 0.5 || y > box[3] + 0.5) leavesBox();
        }
    }
    if (pictures.size() < mostPictures) {
        pictures.push_back(picture);
        return pictures.back();
    }
    static QuirePDFPicture left;
    left = picture;
    return left;
}

void Inventory::read(
    QuirePDFPicture &picture, Object *ref, Stream *stream, int width, int height, int bits, Stream *mask, int maskWidth,
    int maskHeight, int maskBits, bool isInline) {
    size_t before = allMessages().size();
    Decoded own;
    Decoded *decoded = &own;
    bool isKnown = false;
    if (ref && ref->isRef() && !isInline) {
        auto [place, isNew] = document.decoded.emplace(std::make_pair(ref->getRefNum(), ref->getRefGen()), Decoded());
        decoded = &place->second;
        isKnown = !isNew;
    }
    if (!isKnown) {
        DecodingPicture decoding;
        decoded->rows = rowsOf(stream, width, height, bits, isInline, decoded->message);
        if (mask) {
            decoded->maskRows = rowsOf(mask, maskWidth, maskHeight, maskBits, false, decoded->message);
            decoded->maskHeight = maskHeight;
        }
        for (size_t i = before; i < allMessages().size(); i++) {
            if (allMessages()[i].category == QUIRE_PDF_WARNING || !decoded->message.empty()) continue;
            decoded->message = allMessages()[i].text;
        }
    }
    picture.rows = decoded->rows;
    picture.maskRows = decoded->maskRows;
    picture.maskHeight = decoded->maskHeight;
    picture.message = decoded->message.empty() ? nullptr : document.keep(decoded->message);
    if (glyphs > 0) {
        // A glyph is no picture of the page.
        if (!pictures.empty() && &pictures.back() == &picture && !picture.message) pictures.pop_back();
    }
}

void Inventory::drawImageMask(
    GfxState *state, Object *ref, Stream *stream, int width, int height, bool, bool, bool isInline) {
    read(picture(state, stream, width, height, true), ref, stream, width, height, 1, nullptr, 0, 0, 0, isInline);
}

void Inventory::drawImage(
    GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, const int *,
    bool isInline) {
    read(picture(state, stream, width, height, false), ref, stream, width, height,
         map->getNumPixelComps() * map->getBits(), nullptr, 0, 0, 0, isInline);
}

void Inventory::drawMaskedImage(
    GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, Stream *mask,
    int maskWidth, int maskHeight, bool, bool) {
    read(picture(state, stream, std::max(width, maskWidth), std::max(height, maskHeight), false), ref, stream, width,
         height, map->getNumPixelComps() * map->getBits(), mask, maskWidth, maskHeight, 1, false);
}

void Inventory::drawSoftMaskedImage(
    GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, Stream *mask,
    int maskWidth, int maskHeight, GfxImageColorMap *maskMap, bool) {
    read(picture(state, stream, std::max(width, maskWidth), std::max(height, maskHeight), false), ref, stream, width,
         height, map->getNumPixelComps() * map->getBits(), mask, maskWidth, maskHeight,
         maskMap->getNumPixelComps() * maskMap->getBits(), false);
}

void Inventory::setSoftMaskFromImageMask(
    GfxState *state, Object *ref, Stream *stream, int width, int height, bool, bool isInline, double *) {
    read(picture(state, stream, width, height, true), ref, stream, width, height, 1, nullptr, 0, 0, 0, isInline);
}
