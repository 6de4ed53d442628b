#include <cmath>
#include <set>

#include "Document.h"

namespace {

// What a page inherits from the nodes above it.
struct Inherited {
    Object media{objNull}, crop{objNull}, resources{objNull}, rotate{objNull};

    Inherited from(const Dict *node) const {
        return {take(node, "MediaBox", media), take(node, "CropBox", crop), take(node, "Resources", resources),
                take(node, "Rotate", rotate)};
    }

private:
    static Object take(const Dict *node, const char *key, const Object &otherwise) {
        const Object &own = node->lookupNF(key);
        return own.isNull() ? otherwise.copy() : own.copy();
    }
};

struct Box {
    double left, bottom, right, top;
    bool hasArea() const { return right - left > 0 && top - bottom > 0; }
    bool meets(const Box &other) const {
        return std::min(right, other.right) > std::max(left, other.left) &&
               std::min(top, other.top) > std::max(bottom, other.bottom);
    }
    Object array(XRef *xref) const {
        auto *numbers = new Array(xref);
        for (double number : {left, bottom, right, top}) numbers->add(Object(number));
        return Object(numbers);
    }
};

std::optional<Box> box(const Object &reference, XRef *xref) {
    Object object = reference.fetch(xref);
    if (!object.isArray() || object.arrayGetLength() != 4) return {};
    double at[4];
    for (int i = 0; i < 4; i++) {
        Object number = object.arrayGet(i);
        if (!number.isNum() || !std::isfinite(number.getNum())) return {};
        at[i] = number.getNum();
    }
    return Box{std::min(at[0], at[2]), std::min(at[1], at[3]), std::max(at[0], at[2]), std::max(at[1], at[3])};
}

// Walks the tree and mends in memory what poppler's own walk would stumble over.
class Walk {
public:
    Walk(QuirePDF &document, long long most) : document(document), xref(document.doc->getXRef()), most(most) {}

    QuirePDFTree run() {
        QuirePDFTree tree = {};
        tree.stated = -1;
        Object catalog = xref->getCatalog();
        Object pages = catalog.isDict() ? catalog.dictLookup("Pages") : Object(objNull);
        if (!pages.isDict() || !pages.getDict()->hasKey("Kids")) return byPoppler(tree);
        Object count = pages.dictLookup("Count");
        if (count.isNum() && count.getNum() >= 0 && count.getNum() < 1e15) tree.stated = static_cast<long long>(count.getNum());
        const Object &reference = catalog.getDict()->lookupNF("Pages");
        if (reference.isRef()) above.insert(reference.getRef().num);
        visit(pages.getDict(), Inherited{}, 0);
        if (document.leaves.empty()) return byPoppler(tree);
        placeMissing(tree.stated);
        if (mustBeRebuilt || tree.stated != good) rebuild(pages, reference, catalog);
        number(tree.stated);
        tree.places = document.leaves.size();
        tree.pages = good;
        tree.isEndless = isEndless;
        return tree;
    }

private:
    QuirePDF &document;
    XRef *xref;
    const long long most;
    long long good = 0, missing = 0, taken = 0;
    bool isEndless = false;
    // poppler-glib's walk stops at, or leaves out, what only this walk reads.
    bool mustBeRebuilt = false;
    // Pages that it has come by then.
    long long seenByGlib = -1;
    std::set<int> above;
    static constexpr int deepest = 100;

    void visit(const Dict *node, const Inherited &from, int depth) {
        Object kids = node->lookup("Kids");
        Inherited inherited = from.from(node);
        if (!kids.isArray() || depth > deepest) return miss();
        for (int i = 0; i < kids.arrayGetLength() && !isEndless; i++) {
            const Object &reference = kids.arrayGetNF(i);
            Object kid = reference.fetch(xref);
            if (!kid.isDict()) {
                // poppler stops at what is no reference.
                if (!reference.isRef()) stopGlib();
                miss();
            } else if (!kid.getDict()->hasKey("Kids") && isOther(kid.getDict())) {
                mustBeRebuilt = true;
                miss(true);
            } else if (kid.isDict("Page") || !kid.getDict()->hasKey("Kids")) {
                add(reference, kid, inherited);
            } else if (reference.isRef() && !above.insert(reference.getRef().num).second) {
                // A node within itself has no pages of its own.
                mustBeRebuilt = true;
            } else {
                visit(kid.getDict(), inherited, depth + 1);
                if (reference.isRef()) above.erase(reference.getRef().num);
            }
        }
    }

    void stopGlib() {
        if (seenByGlib < 0) seenByGlib = good + taken;
        mustBeRebuilt = true;
    }

    // Something else that lies where a page should be, such as a font after a wrong offset.
    static bool isOther(const Dict *node) {
        Object type = node->lookup("Type");
        return type.isName() && !type.isName("Page") && !type.isName("Pages") && !node->hasKey("MediaBox") &&
               !node->hasKey("Contents");
    }

    void miss(bool isTakenForPage = false) {
        missing++;
        taken += isTakenForPage;
        document.leaves.emplace_back();
        document.leaves.back().isTakenForPage = isTakenForPage;
        isEndless = static_cast<long long>(document.leaves.size()) >= most;
    }

    void add(const Object &reference, const Object &page, const Inherited &from) {
        Leaf leaf;
        leaf.isThere = true;
        if (reference.isRef()) {
            leaf.ref = reference.getRef();
        } else {
            stopGlib();
            leaf.ref = xref->addIndirectObject(page);
        }
        Object unit = page.dictLookup("UserUnit");
        if (unit.isNum() && unit.getNum() > 0.001 && unit.getNum() < 100000) leaf.userUnit = unit.getNum();
        checkBoxes(leaf, page, from.from(page.getDict()));
        document.leaves.push_back(std::move(leaf));
        good++;
        isEndless = static_cast<long long>(document.leaves.size()) >= most;
    }

    void checkBoxes(Leaf &leaf, const Object &page, const Inherited &all) {
        auto media = box(all.media, xref), crop = box(all.crop, xref);
        bool mediaIsGood = media && media->hasArea();
        bool cropIsGood = crop && crop->hasArea() && (!mediaIsGood || crop->meets(*media));
        if (mediaIsGood && (cropIsGood || all.crop.isNull())) return;
        Object mended(page.getDict()->copy(xref));
        if (!mediaIsGood) {
            leaf.boxes = all.media.isNull() ? "The page states no size (MediaBox)"
                                            : "The page's size (MediaBox) is no rectangle";
            mended.dictSet("MediaBox", (cropIsGood ? *crop : Box{0, 0, 612, 792}).array(xref));
            leaf.boxes += cropIsGood ? ": its CropBox is shown." : ": US letter is taken for it.";
        } else {
            leaf.boxes = crop && crop->hasArea() ? "The part to be shown (CropBox) lies outside of the page (MediaBox)"
                                                 : "The part to be shown (CropBox) is no rectangle";
            leaf.boxes += ": the whole page is shown.";
            mended.dictSet("CropBox", media->array(xref));
        }
        xref->setModifiedObject(&mended, leaf.ref);
    }

    // One missing node stands for all pages that are missing, where it is the only one.
    void placeMissing(long long stated) {
        if (missing != 1 || stated <= good + 1 || stated > most) return;
        for (size_t i = 0; i < document.leaves.size(); i++) {
            if (document.leaves[i].isThere) continue;
            document.leaves.insert(document.leaves.begin() + i, stated - good - 1, Leaf());
            return;
        }
    }

    // A flat tree of the pages that are there, each with what it inherits.
    void rebuild(const Object &pages, const Object &reference, const Object &catalog) {
        Object root(pages.getDict()->copy(xref));
        if (mustBeRebuilt) {
            auto *kids = new Array(xref);
            std::set<std::pair<int, int>> done;
            for (const Leaf &leaf : document.leaves) {
                if (leaf.isThere) kids->add(Object(leaf.ref));
            }
            flatten(pages.getDict(), Inherited{}, 0, done);
            root.dictSet("Kids", Object(kids));
        }
        root.dictSet("Count", Object(static_cast<int>(good)));
        if (reference.isRef()) {
            xref->setModifiedObject(&root, reference.getRef());
        } else {
            Object changed(catalog.getDict()->copy(xref));
            changed.dictSet("Pages", Object(xref->addIndirectObject(root)));
            xref->setModifiedObject(&changed, xref->getRoot());
        }
    }

    void flatten(const Dict *node, const Inherited &from, int depth, std::set<std::pair<int, int>> &done) {
        Object kids = node->lookup("Kids");
        Inherited inherited = from.from(node);
        if (!kids.isArray() || depth > deepest) return;
        for (int i = 0; i < kids.arrayGetLength(); i++) {
            const Object &reference = kids.arrayGetNF(i);
            if (!reference.isRef() || !done.insert({reference.getRef().num, reference.getRef().gen}).second) continue;
            Object kid = reference.fetch(xref);
            if (!kid.isDict()) continue;
            if (!kid.isDict("Page") && kid.getDict()->hasKey("Kids")) {
                flatten(kid.getDict(), inherited, depth + 1, done);
                continue;
            }
            Inherited all = inherited.from(kid.getDict());
            Object page(kid.getDict()->copy(xref));
            if (!all.media.isNull()) page.dictSet("MediaBox", std::move(all.media));
            if (!all.crop.isNull()) page.dictSet("CropBox", std::move(all.crop));
            if (!all.resources.isNull()) page.dictSet("Resources", std::move(all.resources));
            if (!all.rotate.isNull()) page.dictSet("Rotate", std::move(all.rotate));
            xref->setModifiedObject(&page, reference.getRef());
        }
    }

    // poppler passes over what is missing, and goes no further than the number that the tree states.
    void number(long long stated) {
        if (seenByGlib < 0) seenByGlib = static_cast<long long>(document.leaves.size());
        long long last = std::min(seenByGlib, stated < 0 ? 0 : stated);
        int next = 0, glib = 0;
        for (Leaf &leaf : document.leaves) {
            if (leaf.isThere || leaf.isTakenForPage) glib++;
            if (!leaf.isThere) continue;
            leaf.number = ++next;
            leaf.glibNumber = glib <= last && leaf.boxes.empty() ? glib : 0;
        }
    }

    // A tree that is none: poppler makes of it what it can.
    QuirePDFTree byPoppler(QuirePDFTree tree) {
        document.leaves.clear();
        int count = document.doc->getNumPages();
        isEndless = count > most;
        for (int i = 1; i <= count && !isEndless; i++) {
            Leaf leaf;
            leaf.isThere = true;
            leaf.number = leaf.glibNumber = i;
            document.leaves.push_back(std::move(leaf));
        }
        tree.places = tree.pages = count;
        tree.stated = count;
        tree.isEndless = isEndless;
        return tree;
    }
};

}  // namespace

QuirePDFTree quire_pdf_tree(QuirePDF *document, long long most) { return Walk(*document, most).run(); }
