// Characters as UTF-8.
#pragma once

#include <string>

void appendUTF8(std::string &text, unsigned code);
