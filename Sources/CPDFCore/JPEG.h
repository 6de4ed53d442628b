// Whether a JPEG is whole, without drawing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// The rows that can be decoded, of `height` that the document states; -1 where all is well. `message` says what is wrong.
long long rowsOfJPEG(const uint8_t *bytes, size_t count, long long height, std::string &message);
