#include "Document.h"

#include <cstring>
#include <optional>

#include <ErrorCodes.h>

namespace {

// The name of the handler that encrypted the document, whether poppler knows it or not.
void copySecurity(PDFDoc &doc, char *security) {
    security[0] = 0;
    XRef *xref = doc.getXRef();
    if (!xref || !xref->getTrailerDict()->isDict()) return;
    Object encrypt = xref->getTrailerDict()->dictLookup("Encrypt");
    if (!encrypt.isDict()) return;
    Object filter = encrypt.dictLookup("Filter");
    if (filter.isName()) {
        std::strncpy(security, filter.getName(), 63);
        security[63] = 0;
    }
}

std::optional<GooString> secret(const char *password, size_t length) {
    std::optional<GooString> text;
    if (password) text.emplace(std::string(password, length));
    return text;
}

}  // namespace

QuirePDF *quire_pdf_open(int descriptor, const char *password, size_t length, int *status, char *security) {
    auto document = std::make_unique<QuirePDF>();
    document->file = GooFile::open(descriptor);
    security[0] = 0;
    *status = QUIRE_PDF_DAMAGED;
    if (!document->file) return nullptr;
    // The document takes the stream over, but not the file.
    auto *stream = new FileStream(document->file.get(), 0, false, document->file->size(), Object(objNull));
    document->doc = std::make_unique<PDFDoc>(stream, secret(password, length), secret(password, length));
    copySecurity(*document->doc, security);
    if (document->doc->isOk()) {
        *status = QUIRE_PDF_OPENED;
        return document.release();
    }
    switch (document->doc->getErrorCode()) {
    case errEncrypted: *status = QUIRE_PDF_ENCRYPTED; break;
    case errBadCatalog: *status = QUIRE_PDF_NO_CATALOG; break;
    default: break;
    }
    return nullptr;
}

void quire_pdf_close(QuirePDF *document) { delete document; }

Page *QuirePDF::page(long long place) {
    if (place < 1 || place > static_cast<long long>(leaves.size())) return nullptr;
    const Leaf &leaf = leaves[place - 1];
    if (!leaf.isThere) return nullptr;
    Page *page = doc->getPage(leaf.number);
    return page && page->isOk() ? page : nullptr;
}

const char *QuirePDF::keep(std::string text) {
    texts.push_back(std::make_unique<std::string>(std::move(text)));
    return texts.back()->c_str();
}

QuirePDFPage quire_pdf_page(QuirePDF *document, long long place) {
    QuirePDFPage result = {};
    Page *page = document->page(place);
    if (!page) return result;
    const Leaf &leaf = document->leaves[place - 1];
    result.isThere = true;
    result.glibNumber = leaf.glibNumber;
    result.userUnit = leaf.userUnit;
    result.boxes = leaf.boxes.empty() ? nullptr : leaf.boxes.c_str();
    result.width = page->getCropWidth();
    result.height = page->getCropHeight();
    if (page->getRotate() == 90 || page->getRotate() == 270) std::swap(result.width, result.height);
    return result;
}
