#ifndef QUIRE_KERNELS_H
#define QUIRE_KERNELS_H
#endif
