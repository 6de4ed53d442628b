// The tables of kernels that the library is made of.
#ifndef QUIRE_TABLES_H
#define QUIRE_TABLES_H

#include "kernels.h"

extern const quire_kernels quire_generic;
#if defined(__x86_64__)
extern const quire_kernels quire_avx2;
extern const quire_kernels quire_avx512;
extern const quire_kernels quire_avx512_vnni;
#endif

#endif
