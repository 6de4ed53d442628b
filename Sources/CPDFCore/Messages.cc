#include "Messages.h"

#include <cstdio>
#include <unordered_set>

#include <Error.h>
#include <GlobalParams.h>

namespace {

// More tell no more: a damaged stream can say the same of every byte.
constexpr size_t most = 200;
constexpr size_t longest = 300;

std::vector<Message> messages;
std::unordered_set<std::string> seen;
bool isDecodingPicture = false;
bool isNoGlyphExpected = false;

void collect(ErrorCategory category, Goffset, const char *text) {
    std::string line = std::string(text).substr(0, longest);
    if (isNoGlyphExpected && line.rfind("Missing or bad Type3 CharProc", 0) == 0) return;
    // OpenJPEG's end with a line feed, which poppler writes like this.
    while (line.size() >= 4 && line.compare(line.size() - 4, 4, "<0a>") == 0) line.resize(line.size() - 4);
    if (messages.size() >= most || !seen.insert(line).second) return;
    // What the parent looks for where it has to find out whether the machine is to blame.
    for (const char *word : {"font", "memory", "alloc"}) {
        if (line.find(word) == std::string::npos) continue;
        std::fprintf(stderr, "%s\n", line.c_str());
        break;
    }
    messages.push_back({category, std::move(line), isDecodingPicture});
}

}  // namespace

DecodingPicture::DecodingPicture() { isDecodingPicture = true; }
DecodingPicture::~DecodingPicture() { isDecodingPicture = false; }

void expectNoGlyph(bool isExpected) { isNoGlyphExpected = isExpected; }

const std::vector<Message> &allMessages() { return messages; }

void quire_pdf_start() {
    // The first that is made decides who gets the messages, and must outlive all documents.
    static GlobalParamsIniter *first = new GlobalParamsIniter(collect);
    (void)first;
}

size_t quire_pdf_message_count() { return messages.size(); }

const char *quire_pdf_message(size_t index, int *category, bool *isPicture) {
    *category = messages[index].category;
    *isPicture = messages[index].isPicture;
    return messages[index].text.c_str();
}

void quire_pdf_forget_messages() {
    messages.clear();
    seen.clear();
}
