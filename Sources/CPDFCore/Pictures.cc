#include "Pictures.h"

#include <algorithm>
#include <vector>

#include "JPEG.h"

namespace {

// Bytes that can be read, up to so many.
long long length(Stream *stream, long long most) {
    std::vector<unsigned char> buffer(1 << 16);
    long long count = 0;
    stream->reset();
    while (count < most) {
        int got = stream->doGetChars(static_cast<int>(std::min<long long>(buffer.size(), most - count)), buffer.data());
        if (got <= 0) break;
        count += got;
    }
    stream->close();
    return count;
}

// A JPEG's bytes before they are decoded; more than so many are no picture of a page.
std::vector<uint8_t> undecoded(Stream *stream) {
    constexpr size_t most = size_t(1) << 30;
    std::vector<uint8_t> bytes;
    Stream *source = stream->getNextStream();
    if (!source) return bytes;
    std::vector<unsigned char> buffer(1 << 16);
    source->reset();
    while (bytes.size() < most) {
        int got = source->doGetChars(static_cast<int>(buffer.size()), buffer.data());
        if (got <= 0) break;
        bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + got);
    }
    source->close();
    return bytes;
}

}  // namespace

long long rowsOf(Stream *stream, int width, int height, int bits, bool isInline, std::string &message) {
    if (width <= 0 || height <= 0 || bits <= 0) return -1;
    long long row = (static_cast<long long>(width) * bits + 7) / 8;
    long long all = row * height;
    if (isInline) {
        long long got = length(stream, all);
        return stream->getKind() == strDCT || got + row > all ? -1 : got / row;
    }
    switch (stream->getKind()) {
    case strDCT: {
        std::vector<uint8_t> bytes = undecoded(stream);
        return rowsOfJPEG(bytes.data(), bytes.size(), height, message);
    }
    // Decoding these is dear, and poppler speaks of what is wrong with them when they are drawn.
    case strJPX:
    case strJBIG2: return -1;
    default: {
        long long got = length(stream, all);
        // Within a row it is a matter of padding.
        return got + row > all ? -1 : got / row;
    }
    }
}
