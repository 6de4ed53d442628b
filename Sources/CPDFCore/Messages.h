// What poppler's parser says.
#pragma once

#include <string>
#include <vector>

#include "CPDFCore.h"

struct Message {
    int category;
    std::string text;
    bool isPicture;
};

// Says for its lifetime that a picture is decoded.
struct DecodingPicture {
    DecodingPicture();
    ~DecodingPicture();
};

// Says that a glyph without a name comes next: that nothing is drawn for it is as it should be.
void expectNoGlyph(bool isExpected);

// Those since they were last forgotten.
const std::vector<Message> &allMessages();
