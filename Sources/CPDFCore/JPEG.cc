#include "JPEG.h"

#include <cstring>
#include <vector>

#include <quire_jpeg.h>

namespace {

struct Decoder {
    quire_jpeg *jpeg;
    ~Decoder() {
        if (jpeg) quire_jpeg_close(jpeg);
    }
};

}  // namespace

long long rowsOfJPEG(const uint8_t *bytes, size_t count, long long height, std::string &message) {
    // As poppler does: what stands before the start marker is passed over.
    while (count >= 2 && !(bytes[0] == 0xFF && bytes[1] == 0xD8)) {
        const void *next = std::memchr(bytes + 1, 0xFF, count - 1);
        size_t skipped = next ? static_cast<const uint8_t *>(next) - bytes : count;
        bytes += skipped;
        count -= skipped;
    }
    Decoder decoder{quire_jpeg_open(bytes, count)};
    if (!decoder.jpeg) return -1;
    const quire_jpeg_facts *facts = quire_jpeg_look(decoder.jpeg);
    auto failed = [&](long long rows) {
        // Too large to be looked through is not damaged: the renderer will tell.
        if (facts->problem == QUIRE_JPEG_MEMORY) return -1LL;
        message = facts->message;
        if (facts->problem == QUIRE_JPEG_UNSUPPORTED) message = "Unsupported JPEG: " + message;
        if (message.empty()) message = "the JPEG ends early";
        return rows;
    };
    if (!quire_jpeg_read_head(decoder.jpeg)) return failed(0);
    // An eighth of the rows and columns: all is read, little is computed.
    if (!quire_jpeg_start(decoder.jpeg, 8, facts->components == 4)) return failed(0);
    std::vector<uint8_t> row(static_cast<size_t>(facts->output_width) * 4);
    uint32_t read = 0;
    while (read < facts->output_height && quire_jpeg_read_row(decoder.jpeg, row.data())) read++;
    uint32_t sound = 0;
    while (sound < read && !quire_jpeg_row_is_lost(decoder.jpeg, sound)) sound++;
    if (sound < facts->output_height) return failed(static_cast<long long>(sound) * 8);
    if (facts->is_coarse || facts->warnings > 0) {
        message = facts->message[0] ? facts->message : "the last scans of a JPEG are missing";
        return -1;
    }
    if (static_cast<long long>(facts->height) * 50 < height * 49) {
        message = "the JPEG has fewer rows than the document states";
        return facts->height;
    }
    return -1;
}
