// Goes through a page's instructions and lists what they draw, without drawing.
#pragma once

#include <map>
#include <set>

#include <OutputDev.h>

#include "Document.h"

// The characters that text in one font uses, as far as they are looked at.
struct Used {
    std::shared_ptr<GfxFont> font;
    // Codes and what they stand for.
    std::map<CharCode, Unicode> characters;
};

class Inventory final : public OutputDev {
public:
    explicit Inventory(QuirePDF &document) : document(document) {}

    std::vector<QuirePDFPicture> pictures;
    std::vector<Used> fonts;
    long long characters = 0, lastCharacter = -1, paths = 0, lastPath = -1;
    // Type 3 fonts with a glyph that leaves the box that it states.
    std::vector<Ref> boxedFonts;

    bool upsideDown() override { return true; }
    bool useDrawChar() override { return true; }
    bool interpretType3Chars() override { return true; }
    bool useTilingPatternFill() override { return true; }
    bool useShadedFills(int) override { return true; }
    bool useFillColorStop() override { return true; }

    void stroke(GfxState *state) override { path(state, true); }
    void fill(GfxState *state) override { path(state, false); }
    void eoFill(GfxState *state) override { path(state, false); }
    bool tilingPatternFill(
        GfxState *, Gfx *, Catalog *, GfxTilingPattern *, const double *, int, int, int, int, double, double) override {
        return shading();
    }
    bool functionShadedFill(GfxState *, GfxFunctionShading *) override { return shading(); }
    bool axialShadedFill(GfxState *, GfxAxialShading *, double, double) override { return shading(); }
    bool radialShadedFill(GfxState *, GfxRadialShading *, double, double) override { return shading(); }
    bool gouraudTriangleShadedFill(GfxState *, GfxGouraudTriangleShading *) override { return shading(); }
    bool patchMeshShadedFill(GfxState *, GfxPatchMeshShading *) override { return shading(); }

    void drawChar(
        GfxState *state, double x, double y, double dx, double dy, double originX, double originY, CharCode code,
        int bytes, const Unicode *unicode, int length) override;
    bool beginType3Char(
        GfxState *state, double x, double y, double dx, double dy, CharCode code, const Unicode *unicode,
        int length) override;
    void endType3Char(GfxState *) override;
    void type3D1(GfxState *state, double, double, double llx, double lly, double urx, double ury) override;

    void drawImageMask(GfxState *state, Object *ref, Stream *stream, int width, int height, bool, bool, bool isInline)
        override;
    void drawImage(
        GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, const int *,
        bool isInline) override;
    void drawMaskedImage(
        GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, Stream *mask,
        int maskWidth, int maskHeight, bool, bool) override;
    void drawSoftMaskedImage(
        GfxState *state, Object *ref, Stream *stream, int width, int height, GfxImageColorMap *map, bool, Stream *mask,
        int maskWidth, int maskHeight, GfxImageColorMap *maskMap, bool) override;
    void setSoftMaskFromImageMask(
        GfxState *state, Object *ref, Stream *stream, int width, int height, bool invert, bool isInline,
        double *matrix) override;

private:
    QuirePDF &document;
    long long order = 0;
    std::map<Ref, size_t, bool (*)(const Ref &, const Ref &)> fontPlaces{
        [](const Ref &a, const Ref &b) { return std::make_pair(a.num, a.gen) < std::make_pair(b.num, b.gen); }};
    std::set<std::pair<int, CharCode>> glyphsDone;
    // Depth of Type 3 glyphs, and the box of the innermost on the page.
    int glyphs = 0;
    Ref glyphFont = Ref::INVALID();
    bool hasBox = false;
    double box[4];

    void path(GfxState *state, bool isStroke);
    void leavesBox();
    bool shading();
    bool isSeen(GfxState *state, double x, double y) const;
    Used *used(GfxState *state);
    QuirePDFPicture &picture(GfxState *state, Stream *stream, long long width, long long height, bool isStencil);
    void read(
        QuirePDFPicture &picture, Object *ref, Stream *stream, int width, int height, int bits, Stream *mask,
        int maskWidth, int maskHeight, int maskBits, bool isInline);
};
