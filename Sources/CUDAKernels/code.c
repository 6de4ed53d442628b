#include "code.h"

// `make cuda` writes the file and touches this one: a compiler does not note that a file was missing.
#if __has_embed("kernels/build/kernels.fatbin") == 1
_Alignas(64) const unsigned char quire_cuda_code[] = {
#embed "kernels/build/kernels.fatbin"
};
const size_t quire_cuda_code_size = sizeof quire_cuda_code;
#else
_Alignas(64) const unsigned char quire_cuda_code[] = {0};
const size_t quire_cuda_code_size = 0;
#endif
