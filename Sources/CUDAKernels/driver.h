// The driver's functions as a table, and what a device holds of them.
//
// Types, numbers and functions are those of cuda.h of CUDA 13.0. Functions have the names that the library exports:
// cuda.h maps cuMemAlloc to cuMemAlloc_v2, dlsym does not.
#pragma once

#include "cuda_kernels.h"

typedef int result;                    // CUresult
typedef struct context *context;       // CUcontext
typedef struct module *module;         // CUmodule
typedef struct function *function;     // CUfunction
typedef struct stream *stream;         // CUstream
typedef struct event *event;           // CUevent
typedef struct graph *graph;           // CUgraph
typedef struct graphExec *graphExec;   // CUgraphExec

enum {
    success = 0,            // CUDA_SUCCESS
    outOfMemory = 2,        // CUDA_ERROR_OUT_OF_MEMORY
    noDevice = 100,         // CUDA_ERROR_NO_DEVICE
    noBinary = 209,         // CUDA_ERROR_NO_BINARY_FOR_GPU
    unsupportedCode = 222,  // CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    notReady = 600,         // CUDA_ERROR_NOT_READY

    multiprocessorCount = 16,  // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
    capabilityMajor = 75,      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    capabilityMinor = 76,      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    dynamicSharedLimit = 8,    // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    nonBlockingStream = 1,     // CU_STREAM_NON_BLOCKING
    timedEvent = 0,            // CU_EVENT_DEFAULT
    untimedEvent = 2,          // CU_EVENT_DISABLE_TIMING
    relaxedCapture = 2,        // CU_STREAM_CAPTURE_MODE_RELAXED
};

#define CALLS(X)                                                                                                  \
    X(Init, "cuInit", (unsigned))                                                                                 \
    X(DriverGetVersion, "cuDriverGetVersion", (int *))                                                            \
    X(GetErrorString, "cuGetErrorString", (result, const char **))                                                \
    X(DeviceGetCount, "cuDeviceGetCount", (int *))                                                                \
    X(DeviceGet, "cuDeviceGet", (int *, int))                                                                     \
    X(DeviceGetName, "cuDeviceGetName", (char *, int, int))                                                       \
    X(DeviceGetAttribute, "cuDeviceGetAttribute", (int *, int, int))                                              \
    X(PrimaryRetain, "cuDevicePrimaryCtxRetain", (context *, int))                                                \
    X(PrimaryRelease, "cuDevicePrimaryCtxRelease_v2", (int))                                                      \
    X(SetCurrent, "cuCtxSetCurrent", (context))                                                                   \
    X(ModuleLoadData, "cuModuleLoadData", (module *, const void *))                                               \
    X(ModuleUnload, "cuModuleUnload", (module))                                                                   \
    X(ModuleGetFunction, "cuModuleGetFunction", (function *, module, const char *))                               \
    X(FuncSetAttribute, "cuFuncSetAttribute", (function, int, int))                                               \
    X(MemGetInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                                                        \
    X(MemAlloc, "cuMemAlloc_v2", (uint64_t *, size_t))                                                            \
    X(MemFree, "cuMemFree_v2", (uint64_t))                                                                        \
    X(MemHostAlloc, "cuMemHostAlloc", (void **, size_t, unsigned))                                                \
    X(MemFreeHost, "cuMemFreeHost", (void *))                                                                     \
    X(CopyIn, "cuMemcpyHtoDAsync_v2", (uint64_t, const void *, size_t, stream))                                   \
    X(CopyOut, "cuMemcpyDtoHAsync_v2", (void *, uint64_t, size_t, stream))                                        \
    X(CopyWithin, "cuMemcpyDtoDAsync_v2", (uint64_t, uint64_t, size_t, stream))                                   \
    X(Fill, "cuMemsetD8Async", (uint64_t, unsigned char, size_t, stream))                                         \
    X(StreamCreate, "cuStreamCreate", (stream *, unsigned))                                                       \
    X(StreamDestroy, "cuStreamDestroy_v2", (stream))                                                              \
    X(StreamSynchronize, "cuStreamSynchronize", (stream))                                                         \
    X(StreamWaitEvent, "cuStreamWaitEvent", (stream, event, unsigned))                                            \
    X(EventCreate, "cuEventCreate", (event *, unsigned))                                                          \
    X(EventDestroy, "cuEventDestroy_v2", (event))                                                                 \
    X(EventRecord, "cuEventRecord", (event, stream))                                                              \
    X(EventQuery, "cuEventQuery", (event))                                                                        \
    X(EventElapsedTime, "cuEventElapsedTime_v2", (float *, event, event))                                         \
    X(BeginCapture, "cuStreamBeginCapture_v2", (stream, int))                                                     \
    X(EndCapture, "cuStreamEndCapture", (stream, graph *))                                                        \
    X(GraphInstantiate, "cuGraphInstantiateWithFlags", (graphExec *, graph, unsigned long long))                  \
    X(GraphDestroy, "cuGraphDestroy", (graph))                                                                    \
    X(GraphLaunch, "cuGraphLaunch", (graphExec, stream))                                                          \
    X(GraphExecDestroy, "cuGraphExecDestroy", (graphExec))                                                        \
    X(LaunchKernel, "cuLaunchKernel",                                                                             \
      (function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, stream, void **, void **))

struct quire_cuda_driver {
#define DECLARE(name, symbol, parameters) result(*name) parameters;
    CALLS(DECLARE)
#undef DECLARE
    /// Whether it runs the kernels that this program was built with.
    int needsCode;
};

// More kernels than there are; a name is looked up in the module once.
enum { mostKernels = 128 };

struct quire_cuda {
    quire_cuda_driver driver;
    int device;
    context own;
    module code;
    stream queues[QUIRE_CUDA_STREAMS];
    int count;
    struct {
        const char *name;
        function kernel;
        size_t shared;
    } kernels[mostKernels];
};

/// What a result means; a failure's words become the thread's message, behind `subject` unless that is null.
quire_cuda_status quire_cuda_judge(const quire_cuda_driver *driver, result code, const char *subject);

/// Notes a failure in words of this program's own.
quire_cuda_status quire_cuda_fail(const char *sentence);

/// Finds a library's function in what `dlopen` gave, or by a `quire_cuda_lookup *`.
typedef void *(*quire_cuda_finder)(void *source, const char *symbol);
void *quire_cuda_in_library(void *library, const char *symbol);
void *quire_cuda_by_lookup(void *lookup, const char *symbol);
