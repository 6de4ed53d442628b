#include <set>

#include <Catalog.h>
#include <FileSpec.h>

#include "Document.h"
#include "Text.h"

namespace {

// A text string of a PDF as UTF-8: UTF-16 or UTF-8 by their marks, else PDFDocEncoding, taken for Latin-1.
std::string readable(const GooString *string) {
    if (!string) return "";
    const std::string &bytes = string->toStr();
    if (bytes.compare(0, 3, "\xEF\xBB\xBF") == 0) return bytes.substr(3);
    auto byte = [&](size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])); };
    std::string text;
    bool big = bytes.compare(0, 2, "\xFE\xFF") == 0, little = bytes.compare(0, 2, "\xFF\xFE") == 0;
    if (!big && !little) {
        for (size_t i = 0; i < bytes.size(); i++) appendUTF8(text, byte(i));
        return text;
    }
    auto unit = [&](size_t at) { return big ? byte(at) << 8 | byte(at + 1) : byte(at + 1) << 8 | byte(at); };
    for (size_t i = 2; i + 1 < bytes.size(); i += 2) {
        unsigned code = unit(i);
        if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size()) {
            code = 0x10000 + ((code - 0xD800) << 10) + (unit(i + 2) & 0x3FF);
            i += 2;
        }
        appendUTF8(text, code);
    }
    return text;
}

class Names {
public:
    Names(QuirePDF &document, int most, void *context, void (*name)(void *, const char *))
        : document(document), most(most), context(context), name(name) {}

    void all() {
        Catalog *catalog = document.doc->getCatalog();
        for (int i = 0; i < catalog->numEmbeddedFiles() && found < most; i++) {
            auto file = catalog->embeddedFile(i);
            if (file && file->isOk()) say(readable(file->getFileName()));
        }
        XRef *xref = document.doc->getXRef();
        Object root = xref->getCatalog();
        if (root.isDict()) associated(root.getDict());
        for (const Leaf &leaf : document.leaves) {
            if (!leaf.isThere || leaf.ref == Ref::INVALID() || found >= most) continue;
            Object page = xref->fetch(leaf.ref);
            if (!page.isDict()) continue;
            associated(page.getDict());
            annotations(page.getDict());
        }
    }

private:
    QuirePDF &document;
    const int most;
    void *context;
    void (*name)(void *, const char *);
    int found = 0;
    std::set<std::string> said;
    // On one page.
    static constexpr int mostAnnotations = 10000;

    void say(std::string text) {
        if (text.empty()) text = "(without a name)";
        if (found >= most || !said.insert(text).second) return;
        found++;
        name(context, text.c_str());
    }

    void specification(const Object &object) {
        if (!object.isDict() || !object.getDict()->hasKey("EF")) return;
        FileSpec file(&object);
        if (file.isOk()) say(readable(file.getFileName()));
    }

    void associated(const Dict *node) {
        Object files = node->lookup("AF");
        if (!files.isArray()) return;
        for (int i = 0; i < files.arrayGetLength() && i < mostAnnotations; i++) specification(files.arrayGet(i));
    }

    void annotations(const Dict *page) {
        Object list = page->lookup("Annots");
        if (!list.isArray()) return;
        for (int i = 0; i < list.arrayGetLength() && i < mostAnnotations && found < most; i++) {
            Object annotation = list.arrayGet(i);
            if (!annotation.isDict()) continue;
            Object kind = annotation.dictLookup("Subtype");
            if (kind.isName("FileAttachment")) specification(annotation.dictLookup("FS"));
        }
    }
};

}  // namespace

void quire_pdf_attachments(QuirePDF *document, int most, void *context, void (*name)(void *, const char *)) {
    Names(*document, most, context, name).all();
}
