// Runs the GPU's kernels on the processor, for tests.
#ifndef QUIRE_CUDA_SHIM_H
#define QUIRE_CUDA_SHIM_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#ifdef __cplusplus
extern "C" {
#endif

// Runs a kernel by its name, block after block, on the calling thread. `arguments` point to the kernel's arguments, as
// for cuLaunchKernel; pointers among them are the processor's own. With `is_reversed` the threads of a block take
// turns from the last to the first.
//
// Returns null, or a sentence that says what the kernel did wrong; it is valid until the thread's next launch.
const char *_Nullable quire_shim_launch(
    const char *name, const uint32_t grid[_Nonnull 3], const uint32_t block[_Nonnull 3], size_t shared_bytes,
    const void *_Nonnull const *_Nonnull arguments, int is_reversed);

#ifdef __cplusplus
}
#endif

#pragma clang assume_nonnull end

#endif
