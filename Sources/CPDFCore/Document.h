// An opened document and what is known of its pages.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <PDFDoc.h>
#include <goo/gfile.h>

#include "CPDFCore.h"

// A place of the page tree.
struct Leaf {
    bool isThere = false;
    Ref ref = Ref::INVALID();
    // The page's number for poppler's core, and for poppler-glib (0 where that sees it otherwise or not at all).
    int number = 0;
    int glibNumber = 0;
    // Taken for a page by poppler-glib, which it is not.
    bool isTakenForPage = false;
    double userUnit = 1;
    std::string boxes;
};

// What was found out about a picture; the same one is often on many pages.
struct Decoded {
    long long rows = -1, maskRows = -1, maskHeight = -1;
    std::string message;
};

struct FontState {
    bool isDamaged = false;
    std::string missing;
};

struct QuirePDF {
    std::unique_ptr<GooFile> file;
    std::unique_ptr<PDFDoc> doc;
    std::vector<Leaf> leaves;

    // Of the page last looked at.
    std::vector<QuirePDFPicture> pictures;
    std::vector<QuirePDFFont> fonts;
    std::vector<std::unique_ptr<std::string>> texts;
    std::vector<Ref> damagedFonts, boxedFonts;

    std::map<std::pair<int, int>, Decoded> decoded;
    // Font files that were found sound on an earlier page.
    std::set<std::pair<int, int>> soundFonts;

    // The page, or null where it cannot be made.
    Page *page(long long place);
    // Keeps a text until the next page is looked at.
    const char *keep(std::string text);
};
