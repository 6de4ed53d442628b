// Poppler's core as C: what poppler-glib hides. It opens a document, walks its page tree, lists what a page holds without
// drawing it, draws by Splash, and keeps every message of the parser, of both front ends.
//
// One thread, one process: quire-render. Poppler's core promises no stable interface, so that all of it is used here only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#ifdef __cplusplus
extern "C" {
#endif

typedef struct QuirePDF QuirePDF;

// Collects the messages of poppler from now on; before poppler-glib is first used, which would hide them.
void quire_pdf_start(void);

// The categories that count, of those of poppler's Error.h.
enum {
    QUIRE_PDF_WARNING = 0,
    QUIRE_PDF_ERROR = 1,
    QUIRE_PDF_COMMAND_LINE = 3,
    QUIRE_PDF_NOT_ALLOWED = 5,
    QUIRE_PDF_UNIMPLEMENTED = 6
};

// The messages since they were last forgotten, each once. The text lives until then.
size_t quire_pdf_message_count(void);
// `isPicture` says whether it came while a picture was decoded by itself.
const char *quire_pdf_message(size_t index, int *category, bool *isPicture);
void quire_pdf_forget_messages(void);

enum { QUIRE_PDF_OPENED = 0, QUIRE_PDF_DAMAGED = 1, QUIRE_PDF_ENCRYPTED = 2, QUIRE_PDF_NO_CATALOG = 3 };

// Opens by descriptor, which is closed with the document, and at once where this fails. `password` may be null.
// `security` gets the name of the security handler where the document is encrypted (63 characters and a zero).
QuirePDF *_Nullable quire_pdf_open(
    int descriptor, const char *_Nullable password, size_t length, int *status, char *security);
void quire_pdf_close(QuirePDF *document);

// What the page tree holds.
typedef struct {
    // The number that the root of the tree states, -1 where it states none.
    long long stated;
    // The places in the tree: pages, and places at which a page is missing.
    long long places;
    // Of those, pages.
    long long pages;
    // The walk ended early: more places than `most` (see quire_pdf_tree).
    bool isEndless;
} QuirePDFTree;

// Walks the page tree, at most so many places; once, before any page is asked for.
QuirePDFTree quire_pdf_tree(QuirePDF *document, long long most);

typedef struct {
    // Whether there is a page at this place of the tree.
    bool isThere;
    // The page's number, from 1, for poppler-glib; 0 where that does not find it as it should be.
    int glibNumber;
    // Points, as seen: cropped, turned, in the page's own unit.
    double width, height;
    // Points of 1/72 inch a unit.
    double userUnit;
    // What is wrong with the boxes: the visible page is then the best that can be made of them.
    const char *_Nullable boxes;
} QuirePDFPage;

// A place of the tree, counted from 1.
QuirePDFPage quire_pdf_page(QuirePDF *document, long long place);

// Names of files attached to the document or to a page (UTF-8), at most `most` of them, each handed to `name`.
void quire_pdf_attachments(
    QuirePDF *document, int most, void *_Nullable context, void (*name)(void *_Nullable context, const char *text));

enum { QUIRE_PDF_RASTER = 0, QUIRE_PDF_JPEG = 1, QUIRE_PDF_JPX = 2, QUIRE_PDF_JBIG2 = 3 };

// A picture as it is drawn on a page.
typedef struct {
    // From the unit square to the visible page: points from its top left corner, x to the right, y down.
    double matrix[6];
    // Pixels: the finer of the picture and its mask on each side.
    long long width, height;
    int kind;
    bool isStencil;
    // Place in the order of painting.
    long long order;
    // Rows that were decoded; -1 where that was not looked at.
    long long rows;
    // The same of its mask, of so many; -1 where there is none.
    long long maskRows, maskHeight;
    // What the parser said while the picture was decoded; null where it said nothing.
    const char *_Nullable message;
} QuirePDFPicture;

// A font of text that is to be seen.
typedef struct {
    // Its PostScript name.
    const char *name;
    // Embedded, but FreeType cannot open it, or draws no glyph of most characters in use.
    bool isDamaged;
    // Characters (UTF-8) for which the font that stands in has no glyph.
    const char *_Nullable missing;
} QuirePDFFont;

typedef struct {
    const QuirePDFPicture *_Nullable pictures;
    size_t pictureCount;
    const QuirePDFFont *_Nullable fonts;
    size_t fontCount;
    // Characters that are to be seen, in a colour other than white, and the place of the last in the order of painting.
    long long characters, lastCharacter;
    // Paths that are filled or stroked, shadings; and the place of the last.
    long long paths, lastPath;
    // A glyph of a Type 3 font is drawn outside the box that it states.
    bool hasGlyphOutsideBox;
    // The page's instructions hold runs of zeroes, or none at all where there are bytes.
    bool hasZeroes;
} QuirePDFContents;

// What a page holds, by going through its instructions without drawing; lives until the next call.
QuirePDFContents quire_pdf_contents(QuirePDF *document, long long place);

// Leaves the damaged fonts of the page last looked at out of the document, so that Splash takes others for them, and frees
// glyphs of the boxes that they leave.
void quire_pdf_mend_fonts(QuirePDF *document);

// Draws a page by Splash on white: `height` rows of `width` RGB triples, `scale` pixels a point. False without memory.
bool quire_pdf_draw(
    QuirePDF *document, long long place, double scaleX, double scaleY, int width, int height, uint8_t *pixels);

#ifdef __cplusplus
}
#endif

#pragma clang assume_nonnull end
