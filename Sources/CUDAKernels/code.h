// The compiled kernels, where `make cuda` has made them.
#pragma once

#include <stddef.h>

extern const unsigned char quire_cuda_code[];
extern const size_t quire_cuda_code_size;
