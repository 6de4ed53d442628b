// Whether the rows of a picture are all there.
#pragma once

#include <Object.h>
#include <Stream.h>

#include <string>

// The rows that can be decoded of a picture of so many bits a pixel; -1 where nothing is known to be missing.
// `message` says what is wrong where poppler does not. The bytes of an inline picture are passed over, whatever they are,
// so that the instructions after it are found.
long long rowsOf(Stream *stream, int width, int height, int bits, bool isInline, std::string &message);
