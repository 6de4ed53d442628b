// NVIDIA's driver, found at run time, and the kernels that this program was built with.
//
// Nothing here links a CUDA library: `libcuda.so.1` is opened when it is first asked for, so that one program runs with
// and without a GPU.
#ifndef QUIRE_CUDA_KERNELS_H
#define QUIRE_CUDA_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// What stands between this program and a GPU.
typedef enum quire_cuda_status {
    QUIRE_CUDA_READY = 0,
    /// The kernels were not compiled when this program was built.
    QUIRE_CUDA_NO_CODE = 1,
    /// There is no driver library.
    QUIRE_CUDA_NO_DRIVER = 2,
    /// The driver is older than the compiler that made the kernels.
    QUIRE_CUDA_OLD_DRIVER = 3,
    QUIRE_CUDA_NO_DEVICE = 4,
    /// The GPU runs none of the kernels' instruction sets.
    QUIRE_CUDA_OLD_DEVICE = 5,
    /// A call of the driver failed; `quire_cuda_message` says how.
    QUIRE_CUDA_FAILED = 6,
    QUIRE_CUDA_OUT_OF_MEMORY = 7
} quire_cuda_status;

enum {
    /// The oldest driver, as cuDriverGetVersion counts: CUDA 13.0.
    QUIRE_CUDA_NEEDED_DRIVER = 13000,
    /// The oldest GPUs, compute capability 8.0.
    QUIRE_CUDA_NEEDED_MAJOR = 8
};

typedef struct quire_cuda_info {
    char name[256];
    size_t total_bytes;
    size_t free_bytes;
    int major;
    int minor;
    int multiprocessors;
} quire_cuda_info;

/// A GPU's context with the kernels loaded. Calls on one are made one at a time, from any thread.
typedef struct quire_cuda quire_cuda;

/// The bytes of the compiled kernels; 0 where this program was built without.
size_t quire_cuda_code_bytes(void);

/// Opens the driver, by the library's name or path, once for the process; later calls answer the same for a name.
quire_cuda_status quire_cuda_load(const char *library);

/// The version of CUDA that the loaded driver supports, 1000 * major + 10 * minor; 0 without a driver.
int quire_cuda_driver_version(void);

/// How many GPUs the loaded driver shows.
int quire_cuda_device_count(void);

/// What a GPU is and how much of its memory is free.
quire_cuda_status quire_cuda_describe(int ordinal, quire_cuda_info *info);

/// Takes a GPU and loads the kernels; `quire_cuda_close` gives it back.
quire_cuda_status quire_cuda_open(int ordinal, quire_cuda *_Nullable *_Nonnull device);
void quire_cuda_close(quire_cuda *device);

/// The driver's words for this thread's last failure.
const char *quire_cuda_message(void);

quire_cuda_status quire_cuda_allocate(quire_cuda *device, size_t bytes, uint64_t *address);
quire_cuda_status quire_cuda_free(quire_cuda *device, uint64_t address);

/// Copies between the processor's memory and the GPU's, in the order of the launches; those from the GPU wait.
quire_cuda_status quire_cuda_copy_in(quire_cuda *device, uint64_t to, const void *from, size_t bytes);
quire_cuda_status quire_cuda_copy_out(quire_cuda *device, void *to, uint64_t from, size_t bytes);
quire_cuda_status quire_cuda_fill(quire_cuda *device, uint64_t address, uint8_t value, size_t bytes);

/// Queues a kernel by its name. `arguments` point to the kernel's arguments.
quire_cuda_status quire_cuda_launch(
    quire_cuda *device, const char *name, const uint32_t grid[_Nonnull 3], const uint32_t block[_Nonnull 3],
    size_t shared_bytes, void *_Nonnull *_Nonnull arguments);

/// Waits until all that was queued is done.
quire_cuda_status quire_cuda_wait(quire_cuda *device);

#pragma clang assume_nonnull end

#endif
