// The functions of libcuda.so.1 that Quire uses, over the shim. Numbers are those of cuda.h of CUDA 13.0.
#include "cuda_shim.h"
#include "queue.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unordered_map>

using namespace shim;

namespace {

enum Result {
    success = 0,                 // CUDA_SUCCESS
    invalidValue = 1,            // CUDA_ERROR_INVALID_VALUE
    outOfMemory = 2,             // CUDA_ERROR_OUT_OF_MEMORY
    invalidDevice = 101,         // CUDA_ERROR_INVALID_DEVICE
    invalidContext = 201,        // CUDA_ERROR_INVALID_CONTEXT
    invalidHandle = 400,         // CUDA_ERROR_INVALID_HANDLE
    illegalState = 401,          // CUDA_ERROR_ILLEGAL_STATE
    notFound = 500,              // CUDA_ERROR_NOT_FOUND
    notReady = 600,              // CUDA_ERROR_NOT_READY
    launchFailed = 719,          // CUDA_ERROR_LAUNCH_FAILED
    captureUnsupported = 900,    // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
    captureInvalidated = 901,    // CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
};

// What a GPU of compute capability 8.0 has.
constexpr size_t plainShared = 48 << 10, mostShared = 163 << 10;
constexpr unsigned mostThreads = 1024, mostBlocksAcross = 65535;

thread_local quire_shim_device *current = nullptr;
// The words for launchFailed: what this thread's device broke of.
thread_local std::string breakage;

std::atomic<void (*)(const char *)> listener = nullptr;

// Calls with the thread's device, locked.
template <class Body> int clean(Body body) {
    if (!current) return invalidContext;
    const std::lock_guard hold(current->lock);
    return body(*current);
}

// The same for what a broken device does no more.
template <class Body> int on(Body body) {
    return clean([&](quire_shim_device &device) -> int {
        const int code = device.failure.empty() ? body(device) : success;
        if (device.failure.empty()) return code;
        breakage = device.failure;
        return launchFailed;
    });
}

int refuse(Stream &stream) {
    stream.capture = Capture::invalidated;
    return captureUnsupported;
}

// Refuses what must not happen while any stream is captured. The real driver allows some of it, but then a graph
// depends on what it does not own.
int refuseInCapture(quire_shim_device &device) {
    for (Stream &stream : device.streams)
        if (stream.capture != Capture::none) refuse(stream);
    return captureUnsupported;
}

// MARK: The driver and its devices

int init(unsigned) { return success; }

int driverGetVersion(int *version) {
    *version = 13000;
    return success;
}

int getErrorString(int code, const char **text) {
    switch (code) {
    case invalidValue: *text = "invalid argument"; break;
    case outOfMemory: *text = "out of memory"; break;
    case invalidDevice: *text = "invalid device ordinal"; break;
    case invalidContext: *text = "invalid device context"; break;
    case invalidHandle: *text = "invalid resource handle"; break;
    case illegalState: *text = "the operation cannot be performed in the present state"; break;
    case notFound: *text = "named symbol not found"; break;
    case notReady: *text = "device not ready"; break;
    case launchFailed: *text = breakage.c_str(); break;
    case captureUnsupported: *text = "operation not permitted when stream is capturing"; break;
    case captureInvalidated: *text = "operation failed due to a previous error during capture"; break;
    default: *text = nullptr; return invalidValue;
    }
    return success;
}

int deviceGetCount(int *count) {
    *count = 1;
    return success;
}

int deviceGet(int *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? success : invalidDevice;
}

int deviceGetName(char *name, int length, int) {
    snprintf(name, (size_t)length, "shim");
    return success;
}

int deviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 16: *value = 4; return success;  // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
    case 75: *value = 8; return success;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    case 76: *value = 0; return success;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    default: return invalidValue;
    }
}

// Each user gets a context of its own, where the real driver has one for all: tests run side by side.
template <bool isReversed> int primaryRetain(quire_shim_device **context, int) {
    *context = new quire_shim_device;
    (*context)->isReversed = isReversed;
    return success;
}

// Gives back the thread's context, of which the caller knows only the device.
int primaryRelease(int) {
    if (!current) return invalidContext;
    delete current;
    current = nullptr;
    return success;
}

int setCurrent(quire_shim_device *context) {
    current = context;
    return success;
}

// The kernels are the shim's own, whatever the image.
int moduleLoadData(void **module, const void *) {
    *module = current;
    return success;
}

int moduleUnload(void *) { return success; }

int moduleGetFunction(const Kernel **function, void *, const char *name) {
    *function = findKernel(name);
    return *function ? success : notFound;
}

int funcSetAttribute(const Kernel *function, int attribute, int value) {
    return on([=](quire_shim_device &device) {
        // 8: CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.
        if (attribute != 8 || value < 0 || (size_t)value > mostShared) return invalidValue;
        device.sharedLimits[function] = (size_t)value;
        return success;
    });
}

// MARK: Memory

int memGetInfo(size_t *free, size_t *total) {
    return on([=](quire_shim_device &device) {
        device.waits++;
        device.finishAll();
        *free = device.heap.limit - std::min(device.heap.limit, device.heap.used);
        *total = device.heap.limit;
        return success;
    });
}

int memAlloc(uint64_t *address, size_t bytes) {
    return on([=](quire_shim_device &device) -> int {
        if (device.isCapturing()) return refuseInCapture(device);
        if (bytes == 0) return invalidValue;
        *address = device.heap.allocate(bytes);
        return *address ? success : outOfMemory;
    });
}

int memFree(uint64_t address) {
    return on([=](quire_shim_device &device) -> int {
        if (device.isCapturing()) return refuseInCapture(device);
        device.waits++;
        device.finishAll();
        return device.heap.free(address) ? success : invalidValue;
    });
}

int memHostAlloc(void **memory, size_t bytes, unsigned) {
    return on([=](quire_shim_device &device) -> int {
        if (device.isCapturing()) return refuseInCapture(device);
        if (bytes == 0) return invalidValue;
        *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
        if (!*memory) return outOfMemory;
        memset(*memory, 0xff, bytes);
        device.pinned[(uint64_t)*memory] = bytes;
        return success;
    });
}

int memFreeHost(void *memory) {
    return clean([=](quire_shim_device &device) {
        const auto found = device.pinned.find((uint64_t)memory);
        if (found == device.pinned.end()) return invalidValue;
        if (device.isUsed(found->first, found->second)) {
            report("the host's memory was given back while a copy still needs it");
            device.finishAll();
        }
        device.pinned.erase(found);
        free(memory);
        return success;
    });
}

// MARK: Streams

int add(Stream *stream, uint64_t address, size_t bytes, Operation operation) {
    return on([&](quire_shim_device &device) {
        if (!device.heap.contains(address, bytes)) return invalidValue;
        device.add(*stream, std::move(operation));
        return success;
    });
}

int copyIn(uint64_t to, const void *from, size_t bytes, Stream *stream) {
    return add(stream, to, bytes, Copy{to, (uint64_t)from, bytes, true, false});
}

int copyOut(void *to, uint64_t from, size_t bytes, Stream *stream) {
    return add(stream, from, bytes, Copy{(uint64_t)to, from, bytes, false, true});
}

int copyWithin(uint64_t to, uint64_t from, size_t bytes, Stream *stream) {
    return on([=](quire_shim_device &device) {
        if (!device.heap.contains(to, bytes) || !device.heap.contains(from, bytes)) return invalidValue;
        device.add(*stream, Copy{to, from, bytes, true, true});
        return success;
    });
}

int fill(uint64_t address, unsigned char value, size_t bytes, Stream *stream) {
    return add(stream, address, bytes, Fill{address, value, bytes});
}

int streamCreate(Stream **stream, unsigned) {
    return on([=](quire_shim_device &device) {
        *stream = &device.streams.emplace_back();
        return success;
    });
}

int streamDestroy(Stream *stream) {
    return clean([=](quire_shim_device &device) {
        device.remove(stream);
        return success;
    });
}

int streamSynchronize(Stream *stream) {
    return on([=](quire_shim_device &device) -> int {
        if (stream->capture != Capture::none) return refuse(*stream);
        device.waits++;
        device.finish(*stream);
        return success;
    });
}

int launchKernel(
    const Kernel *kernel, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
    unsigned blockZ, unsigned sharedBytes, Stream *stream, void **arguments, void **) {
    return on([=](quire_shim_device &device) {
        const uint64_t threads = (uint64_t)blockX * blockY * blockZ;
        const auto limit = device.sharedLimits.find(kernel);
        const size_t allowed = limit == device.sharedLimits.end() ? plainShared : std::max(plainShared, limit->second);
        if (!gridX || !gridY || !gridZ || gridX > INT32_MAX || gridY > mostBlocksAcross || gridZ > mostBlocksAcross
            || !threads || threads > mostThreads || sharedBytes > allowed)
            return invalidValue;
        Launch launch = {kernel, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, {}};
        for (int i = 0; i < kernel->arguments; i++) memcpy(&launch.arguments[i], arguments[i], kernel->sizes[i]);
        device.add(*stream, launch);
        return success;
    });
}

// MARK: Events

int eventCreate(Event **event, unsigned flags) {
    return on([=](quire_shim_device &) {
        // 2: CU_EVENT_DISABLE_TIMING.
        *event = new Event{(flags & 2) == 0, nullptr};
        return success;
    });
}

int eventDestroy(Event *event) {
    return clean([=](quire_shim_device &) {
        delete event;
        return success;
    });
}

// Events inside of a capture, which would fork it, are refused here.
int eventRecord(Event *event, Stream *stream) {
    return on([=](quire_shim_device &device) -> int {
        if (stream->capture != Capture::none) return refuse(*stream);
        event->latest = std::make_shared<Mark>(Mark{stream, false, {}});
        device.add(*stream, Record{event->latest});
        return success;
    });
}

int streamWaitEvent(Stream *stream, Event *event, unsigned) {
    return on([=](quire_shim_device &device) -> int {
        if (stream->capture != Capture::none) return refuse(*stream);
        if (event->latest) device.add(*stream, Await{event->latest});
        return success;
    });
}

// Asking is what makes time pass: by one operation.
int eventQuery(Event *event) {
    return on([=](quire_shim_device &device) {
        if (!event->latest) return success;
        if (!event->latest->isPassed) device.step(*event->latest->stream);
        return event->latest->isPassed ? success : notReady;
    });
}

int eventElapsedTime(float *milliseconds, Event *start, Event *end) {
    return on([=](quire_shim_device &) {
        if (!start->isTimed || !end->isTimed || !start->latest || !end->latest) return invalidHandle;
        if (!start->latest->isPassed || !end->latest->isPassed) return notReady;
        *milliseconds = std::chrono::duration<float, std::milli>(end->latest->time - start->latest->time).count();
        return success;
    });
}

// MARK: Graphs

int beginCapture(Stream *stream, int mode) {
    return on([=](quire_shim_device &) {
        // 2: CU_STREAM_CAPTURE_MODE_RELAXED, which is all that is used.
        if (mode != 2) return invalidValue;
        if (stream->capture != Capture::none) return illegalState;
        stream->capture = Capture::active;
        return success;
    });
}

int endCapture(Stream *stream, Graph **graph) {
    return clean([=](quire_shim_device &) {
        *graph = nullptr;
        const Capture ended = stream->capture;
        Graph captured = std::move(stream->captured);
        stream->capture = Capture::none;
        stream->captured = {};
        if (ended == Capture::none) return illegalState;
        if (ended == Capture::invalidated) return captureInvalidated;
        *graph = new Graph(std::move(captured));
        return success;
    });
}

int graphInstantiate(Graph **instance, Graph *graph, unsigned long long) {
    return on([=](quire_shim_device &) {
        *instance = new Graph(*graph);
        return success;
    });
}

int graphDestroy(Graph *graph) {
    delete graph;
    return success;
}

int graphLaunch(Graph *graph, Stream *stream) {
    return on([=](quire_shim_device &device) {
        device.graphs++;
        for (const Operation &operation : graph->operations) device.add(*stream, operation);
        return success;
    });
}

void *find(const char *symbol, bool isReversed) {
    static const std::unordered_map<std::string_view, void *> all = {
        {"cuInit", (void *)init},
        {"cuDriverGetVersion", (void *)driverGetVersion},
        {"cuGetErrorString", (void *)getErrorString},
        {"cuDeviceGetCount", (void *)deviceGetCount},
        {"cuDeviceGet", (void *)deviceGet},
        {"cuDeviceGetName", (void *)deviceGetName},
        {"cuDeviceGetAttribute", (void *)deviceGetAttribute},
        {"cuDevicePrimaryCtxRelease_v2", (void *)primaryRelease},
        {"cuCtxSetCurrent", (void *)setCurrent},
        {"cuModuleLoadData", (void *)moduleLoadData},
        {"cuModuleUnload", (void *)moduleUnload},
        {"cuModuleGetFunction", (void *)moduleGetFunction},
        {"cuFuncSetAttribute", (void *)funcSetAttribute},
        {"cuMemGetInfo_v2", (void *)memGetInfo},
        {"cuMemAlloc_v2", (void *)memAlloc},
        {"cuMemFree_v2", (void *)memFree},
        {"cuMemHostAlloc", (void *)memHostAlloc},
        {"cuMemFreeHost", (void *)memFreeHost},
        {"cuMemcpyHtoDAsync_v2", (void *)copyIn},
        {"cuMemcpyDtoHAsync_v2", (void *)copyOut},
        {"cuMemcpyDtoDAsync_v2", (void *)copyWithin},
        {"cuMemsetD8Async", (void *)fill},
        {"cuStreamCreate", (void *)streamCreate},
        {"cuStreamDestroy_v2", (void *)streamDestroy},
        {"cuStreamSynchronize", (void *)streamSynchronize},
        {"cuStreamWaitEvent", (void *)streamWaitEvent},
        {"cuEventCreate", (void *)eventCreate},
        {"cuEventDestroy_v2", (void *)eventDestroy},
        {"cuEventRecord", (void *)eventRecord},
        {"cuEventQuery", (void *)eventQuery},
        {"cuEventElapsedTime_v2", (void *)eventElapsedTime},
        {"cuStreamBeginCapture_v2", (void *)beginCapture},
        {"cuStreamEndCapture", (void *)endCapture},
        {"cuGraphInstantiateWithFlags", (void *)graphInstantiate},
        {"cuGraphDestroy", (void *)graphDestroy},
        {"cuGraphLaunch", (void *)graphLaunch},
        {"cuGraphExecDestroy", (void *)graphDestroy},
        {"cuLaunchKernel", (void *)launchKernel},
    };
    if (std::string_view(symbol) == "cuDevicePrimaryCtxRetain")
        return isReversed ? (void *)primaryRetain<true> : (void *)primaryRetain<false>;
    const auto found = all.find(symbol);
    return found == all.end() ? nullptr : found->second;
}

}  // namespace

void shim::report(const std::string &sentence) {
    const auto hearing = listener.load();
    if (hearing) hearing(sentence.c_str());
    else fprintf(stderr, "%s\n", sentence.c_str());
}

void *quire_shim_forwards(const char *symbol) { return find(symbol, false); }

void *quire_shim_backwards(const char *symbol) { return find(symbol, true); }

quire_shim_device *quire_shim_current(void) { return current; }

void quire_shim_limit(quire_shim_device *device, size_t bytes) {
    const std::lock_guard hold(device->lock);
    device->heap.limit = bytes;
}

size_t quire_shim_taken(quire_shim_device *device) {
    const std::lock_guard hold(device->lock);
    return device->heap.used;
}

const char *quire_shim_kernel(quire_shim_device *device, size_t number, size_t *launches) {
    const std::lock_guard hold(device->lock);
    const Kernel *kernel = kernelAt(number);
    *launches = number < device->launches.size() ? device->launches[number] : 0;
    return kernel ? kernel->name : nullptr;
}

size_t quire_shim_graphs(quire_shim_device *device) {
    const std::lock_guard hold(device->lock);
    return device->graphs;
}

size_t quire_shim_product_count(quire_shim_device *device) {
    const std::lock_guard hold(device->lock);
    return device->products;
}

size_t quire_shim_waits(quire_shim_device *device) {
    const std::lock_guard hold(device->lock);
    return device->waits;
}

void quire_shim_report(void (*hearer)(const char *)) { listener = hearer; }
