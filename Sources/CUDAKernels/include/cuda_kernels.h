// NVIDIA's driver, found at run time, and the kernels that this program was built with.
//
// Nothing here links a CUDA library: `libcuda.so.1` is opened when it is first asked for, so that one program runs with
// and without a GPU. Tests put another driver in its place.
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
    QUIRE_CUDA_NEEDED_MAJOR = 8,
    /// The streams of a device: 0 and 1. Neither waits for the other, nor for the default stream.
    QUIRE_CUDA_STREAMS = 2
};

typedef struct quire_cuda_info {
    char name[256];
    size_t total_bytes;
    size_t free_bytes;
    int major;
    int minor;
    int multiprocessors;
} quire_cuda_info;

/// The functions of a driver. Any thread may use one.
typedef struct quire_cuda_driver quire_cuda_driver;

/// A GPU's context with the kernels loaded. Calls on one are made one at a time, from any thread.
typedef struct quire_cuda quire_cuda;

/// A mark in a stream, and a captured graph that can be launched. A device's, and given back before it is closed.
typedef struct quire_cuda_event quire_cuda_event;
typedef struct quire_cuda_graph quire_cuda_graph;

/// The bytes of the compiled kernels; 0 where this program was built without.
size_t quire_cuda_code_bytes(void);

/// The driver's words for this thread's last failure.
const char *quire_cuda_message(void);

// MARK: Drivers

/// Finds a driver's function by its name in the library, for instance `cuMemAlloc_v2`.
typedef void *_Nullable (*quire_cuda_lookup)(const char *symbol);

/// Makes a driver of a library, by name or path. A library with all functions is opened once for the process.
///
/// `driver` is null where the library or one of its functions is missing. Otherwise the caller gives it back with
/// `quire_cuda_drop`, also where the answer is that it cannot be used.
quire_cuda_status quire_cuda_load(const char *library, quire_cuda_driver *_Nullable *_Nonnull driver);

/// Makes a driver of what `lookup` finds, as `quire_cuda_load` does. Such a driver brings its own kernels.
quire_cuda_status quire_cuda_use(quire_cuda_lookup lookup, quire_cuda_driver *_Nullable *_Nonnull driver);

/// Gives a driver back; devices of it stay open.
void quire_cuda_drop(quire_cuda_driver *driver);

/// The version of CUDA that the driver supports, 1000 * major + 10 * minor; 0 where it does not say.
int quire_cuda_driver_version(const quire_cuda_driver *driver);

/// How many GPUs the driver shows.
int quire_cuda_device_count(const quire_cuda_driver *driver);

/// What a GPU is and how much of its memory is free.
quire_cuda_status quire_cuda_describe(const quire_cuda_driver *driver, int ordinal, quire_cuda_info *info);

// MARK: Devices

/// Takes a GPU and loads the kernels; `quire_cuda_close` gives it back, once nothing queued uses the host's memory.
quire_cuda_status quire_cuda_open(
    const quire_cuda_driver *driver, int ordinal, quire_cuda *_Nullable *_Nonnull device);
void quire_cuda_close(quire_cuda *device);

quire_cuda_status quire_cuda_memory(quire_cuda *device, size_t *free_bytes, size_t *total_bytes);

/// Memory of the GPU, aligned to 256 bytes. What is given back is used by nothing that is queued.
quire_cuda_status quire_cuda_allocate(quire_cuda *device, size_t bytes, uint64_t *address);
quire_cuda_status quire_cuda_free(quire_cuda *device, uint64_t address);

/// Memory of the host that is never paged out, which copies need to run beside the host.
quire_cuda_status quire_cuda_allocate_host(
    quire_cuda *device, size_t bytes, void *_Nullable *_Nonnull memory);
quire_cuda_status quire_cuda_free_host(quire_cuda *device, void *memory);

// MARK: Streams
//
// What is queued on a stream is done in its order, some time later. The host's memory of a copy stays as it is until
// the stream has come past it.

quire_cuda_status quire_cuda_copy_in(
    quire_cuda *device, int stream, uint64_t to, const void *from, size_t bytes);
quire_cuda_status quire_cuda_copy_out(quire_cuda *device, int stream, void *to, uint64_t from, size_t bytes);
quire_cuda_status quire_cuda_copy_within(
    quire_cuda *device, int stream, uint64_t to, uint64_t from, size_t bytes);
quire_cuda_status quire_cuda_fill(quire_cuda *device, int stream, uint64_t address, uint8_t value, size_t bytes);

/// Queues a kernel by its name. `arguments` point to the kernel's arguments, which are copied.
quire_cuda_status quire_cuda_launch(
    quire_cuda *device, int stream, const char *name, const uint32_t grid[_Nonnull 3],
    const uint32_t block[_Nonnull 3], size_t shared_bytes, void *_Nonnull *_Nonnull arguments);

/// Waits until all that was queued on the stream is done.
quire_cuda_status quire_cuda_wait(quire_cuda *device, int stream);

// MARK: Events

quire_cuda_status quire_cuda_event_make(
    quire_cuda *device, int is_timed, quire_cuda_event *_Nullable *_Nonnull event);
void quire_cuda_event_destroy(quire_cuda *device, quire_cuda_event *event);

/// Marks what is queued so far; a later record of the same event replaces the mark.
quire_cuda_status quire_cuda_event_record(quire_cuda *device, quire_cuda_event *event, int stream);

/// Lets what is queued on the stream from here on wait for the event's mark.
quire_cuda_status quire_cuda_event_await(quire_cuda *device, quire_cuda_event *event, int stream);

/// Whether the stream has come past the mark; also 1 for an event that marks nothing.
quire_cuda_status quire_cuda_event_passed(quire_cuda *device, quire_cuda_event *event, int *passed);

/// Milliseconds between two timed events that have passed.
quire_cuda_status quire_cuda_event_elapsed(
    quire_cuda *device, quire_cuda_event *from, quire_cuda_event *to, float *milliseconds);

// MARK: Graphs

/// From here on what is queued on the stream is noted and not done.
quire_cuda_status quire_cuda_capture_begin(quire_cuda *device, int stream);

/// Ends a capture with a graph of what was noted; without one where that failed.
quire_cuda_status quire_cuda_capture_end(
    quire_cuda *device, int stream, quire_cuda_graph *_Nullable *_Nonnull graph);

/// Ends a capture whose graph nobody wants.
void quire_cuda_capture_abandon(quire_cuda *device, int stream);

/// Queues all that the graph holds, with the addresses and arguments that were captured.
quire_cuda_status quire_cuda_graph_launch(quire_cuda *device, quire_cuda_graph *graph, int stream);
void quire_cuda_graph_destroy(quire_cuda *device, quire_cuda_graph *graph);

// MARK: Products of NVIDIA's library
//
// cuBLASLt multiplies matrices of many rows faster than the own kernels; where it is missing those do all.

/// The library at work for a device. Closed before the device is.
typedef struct quire_cuda_products quire_cuda_products;

/// A way to make products of a shape.
typedef struct quire_cuda_product quire_cuda_product;

/// y [rows, outputs] = x [rows, inputs] w [outputs, inputs]^T + bias [outputs], x and w bfloat16.
typedef struct quire_cuda_product_shape {
    /// For how many rows the way should be good.
    uint64_t rows;
    uint64_t inputs;
    uint64_t outputs;
    /// Whether the product is added to y, which is f32; else y is bfloat16. The bias is of y's type.
    int is_added;
    int has_bias;
} quire_cuda_product_shape;

/// Opens the library, by name or path; a failure where there is none that can be used.
quire_cuda_status quire_cuda_products_load(
    quire_cuda *device, const char *library, quire_cuda_products *_Nullable *_Nonnull products);

/// Takes the library's functions from `lookup`.
quire_cuda_status quire_cuda_products_use(
    quire_cuda *device, quire_cuda_lookup lookup, quire_cuda_products *_Nullable *_Nonnull products);
void quire_cuda_products_close(quire_cuda_products *products);

/// The library's version, 10,000 * major + 100 * minor + patch.
size_t quire_cuda_products_version(const quire_cuda_products *products);

/// Finds a way for products of a shape; a failure where the library knows none. The workspace is the GPU's memory.
quire_cuda_status quire_cuda_product_plan(
    quire_cuda_products *products, quire_cuda_product_shape shape, uint64_t workspace, size_t workspace_bytes,
    quire_cuda_product *_Nullable *_Nonnull product);
void quire_cuda_product_drop(quire_cuda_product *product);

/// Queues a product, of any number of rows. Addresses are multiples of 16.
quire_cuda_status quire_cuda_product_queue(
    quire_cuda_product *product, int stream, uint64_t rows, uint64_t x, uint64_t w, uint64_t bias, uint64_t y,
    uint64_t workspace, size_t workspace_bytes);

#pragma clang assume_nonnull end

#endif
