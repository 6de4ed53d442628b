// Whether the fonts of a page can be read and have the glyphs that its text needs.
#pragma once

#include "Document.h"
#include "Inventory.h"

FontState stateOf(QuirePDF &document, const Used &used);
