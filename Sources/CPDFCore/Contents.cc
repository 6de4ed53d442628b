#include <algorithm>

#include <GfxFont.h>
#include <Page.h>

#include "Fonts.h"
#include "Inventory.h"

namespace {

// A stretch of zeroes that no generator writes: it is what remains of a sector that was lost.
constexpr size_t longRun = 64;

// Whether instructions are lost: runs of zeroes among them, or nothing where a stream has bytes.
class Zeroes {
public:
    explicit Zeroes(Page &page) {
        Object contents = page.getContents();
        if (contents.isStream()) {
            check(contents);
        } else if (contents.isArray()) {
            for (int i = 0; i < contents.arrayGetLength(); i++) {
                Object part = contents.arrayGet(i);
                if (part.isStream()) check(part);
            }
        }
    }
    bool found = false;

private:
    void check(const Object &part) {
        Stream *stream = part.getStream();
        unsigned char buffer[4096];
        size_t run = 0, longest = 0, zeroes = 0, all = 0;
        bool hasInline = false;
        unsigned char last = ' ';
        stream->reset();
        for (int got; (got = stream->doGetChars(sizeof buffer, buffer)) > 0;) {
            for (int i = 0; i < got; i++) {
                run = buffer[i] == 0 ? run + 1 : 0;
                zeroes += buffer[i] == 0;
                longest = std::max(longest, run);
                hasInline = hasInline || (last == 'I' && buffer[i] == 'D');
                last = buffer[i];
            }
            all += got;
        }
        stream->close();
        // Pictures that lie among the instructions have zeroes of their own.
        bool isMostlyZero = all > 0 && zeroes * 2 > all;
        if (isMostlyZero || (longest >= longRun && !hasInline)) found = true;
    }
};

}  // namespace

QuirePDFContents quire_pdf_contents(QuirePDF *document, long long place) {
    QuirePDFContents contents = {};
    document->pictures.clear();
    document->fonts.clear();
    document->texts.clear();
    document->damagedFonts.clear();
    document->boxedFonts.clear();
    Page *page = document->page(place);
    if (!page) return contents;

    contents.hasZeroes = Zeroes(*page).found;
    Inventory inventory(*document);
    // At 72 dots an inch a dot is a point.
    page->displaySlice(&inventory, 72, 72, 0, false, true, -1, -1, -1, -1, false);
    document->pictures = std::move(inventory.pictures);
    for (const Used &used : inventory.fonts) {
        FontState state = stateOf(*document, used);
        if (!state.isDamaged && state.missing.empty()) continue;
        if (state.isDamaged) document->damagedFonts.push_back(*used.font->getID());
        const auto &name = used.font->getName();
        document->fonts.push_back(
            {document->keep(name ? *name : "(without a name)"), state.isDamaged,
             state.missing.empty() ? nullptr : document->keep(state.missing)});
    }
    contents.pictures = document->pictures.data();
    contents.pictureCount = document->pictures.size();
    contents.fonts = document->fonts.data();
    contents.fontCount = document->fonts.size();
    contents.characters = inventory.characters;
    contents.lastCharacter = inventory.lastCharacter;
    contents.paths = inventory.paths;
    contents.lastPath = inventory.lastPath;
    document->boxedFonts = std::move(inventory.boxedFonts);
    contents.hasGlyphOutsideBox = !document->boxedFonts.empty();
    return contents;
}
