#include <cstring>

#include <Page.h>
#include <SplashOutputDev.h>
#include <splash/SplashBitmap.h>

#include "Document.h"

bool quire_pdf_draw(
    QuirePDF *document, long long place, double scaleX, double scaleY, int width, int height, uint8_t *pixels) {
    Page *page = document->page(place);
    if (!page) return false;
    SplashColor paper = {255, 255, 255};
    // As pdftoppm draws, the program of poppler that most pages were seen by.
    SplashOutputDev output(splashModeRGB8, 1, false, paper, true, splashThinLineDefault);
    output.setFontAntialias(true);
    output.setVectorAntialias(true);
    output.setEnableFreeType(true);
    output.setFreeTypeHinting(false, false);
    output.startDoc(document->doc.get());
    page->displaySlice(&output, 72 * scaleX, 72 * scaleY, 0, false, true, 0, 0, width, height, false);
    SplashBitmap *bitmap = output.getBitmap();
    if (!bitmap || !bitmap->getDataPtr() || bitmap->getWidth() != width || bitmap->getHeight() != height) return false;
    for (int y = 0; y < height; y++) {
        std::memcpy(
            pixels + static_cast<size_t>(y) * width * 3,
            bitmap->getDataPtr() + static_cast<ptrdiff_t>(y) * bitmap->getRowSize(), static_cast<size_t>(width) * 3);
    }
    return true;
}
