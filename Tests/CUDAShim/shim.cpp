#include "shim.hpp"

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace shim {

constinit thread_local Block *running = nullptr;

namespace {

constexpr size_t stackBytes = 96 << 10;
// Stacks that all begin at the same place of a page would share a few lines of the cache.
constexpr size_t stackShift = 17 * 64;

#if defined(__x86_64__)
// Saves what a function must keep, changes stacks and goes on there: some nanoseconds, where swapcontext asks the
// kernel twice.
extern "C" void quire_shim_switch(void **from, void *to);
asm(R"(
.text
.globl quire_shim_switch
.type quire_shim_switch, @function
quire_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size quire_shim_switch, .-quire_shim_switch
)");

void change(void **from, void *to) { quire_shim_switch(from, to); }

void prepare(Fiber &fiber, size_t shift, void (*entry)()) {
    auto top = ((uintptr_t)fiber.memory.get() + stackBytes - shift) & ~(uintptr_t)15;
    auto words = (uint64_t *)(top - 64);
    memset(words, 0, 64);
    words[6] = (uint64_t)(uintptr_t)entry;
    fiber.stack = words;
}
#else
void change(void **from, void *to) {
    ucontext_t here;
    *from = &here;
    swapcontext(&here, (ucontext_t *)to);
}

void prepare(Fiber &fiber, size_t shift, void (*entry)()) {
    auto context = (ucontext_t *)fiber.memory.get();
    const size_t head = (sizeof(ucontext_t) + 63) & ~(size_t)63;
    getcontext(context);
    context->uc_stack.ss_sp = fiber.memory.get() + head;
    context->uc_stack.ss_size = stackBytes - head - shift;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    fiber.stack = context;
}
#endif

// The next of `count` threads from `first` on that has not ended, in the block's order; -1 where there is none.
int following(const Block &block, int from, int first, int count) {
    for (int i = 1; i <= count; i++) {
        const int step = block.isReversed ? count - i : i;
        const int next = first + (from - first + step) % count;
        if (!block.fibers[next].isDone) return next;
    }
    return -1;
}

void goOn(int next) {
    Block &block = *running;
    const int from = block.current;
    // Nobody has come further in a hundred rounds: some wait for threads that never arrive.
    if (++block.idle > 100L * block.count) {
        if (block.failure.empty()) block.failure = "not all threads reach a barrier";
        change(&block.fibers[from].stack, block.mainStack);
    }
    if (next == from) return;
    block.current = next;
    change(&block.fibers[from].stack, block.fibers[next].stack);
}

void run() {
    (*running->body)();
    leave();
}

}  // namespace

void yieldInWarp() {
    const Block &block = *running;
    const int from = block.current, first = from / warpSize * warpSize;
    // Mostly the neighbour; the same that would be found below.
    const int next = block.isReversed ? from - 1 : from + 1;
    if (next >= first && next < std::min(first + warpSize, block.count) && !block.fibers[next].isDone) goOn(next);
    else goOn(following(block, from, first, std::min(warpSize, block.count - first)));
}

void syncBlock() {
    Block &block = *running;
    const long generation = block.generation;
    if (++block.arrived == block.alive) {
        block.arrived = 0;
        block.generation++;
        block.idle = 0;
        return;
    }
    while (block.generation == generation) goOn(following(block, block.current, 0, block.count));
}

void leave() {
    Block &block = *running;
    const int from = block.current;
    Fiber &fiber = block.fibers[from];
    if (!fiber.copies.empty() && block.failure.empty()) block.failure = "a thread ended with copies not waited for";
    fiber.isDone = true;
    block.idle = 0;
    Warp &own = warp();
    if (--own.alive > 0 && own.arrived == own.alive && block.failure.empty())
        block.failure = "a thread ended while its warp waited for it";
    if (--block.alive > 0 && block.arrived == block.alive) {
        block.arrived = 0;
        block.generation++;
    }
    const int next = following(block, from, 0, block.count);
    if (next < 0) {
        change(&fiber.stack, block.mainStack);
    } else {
        block.current = next;
        change(&fiber.stack, block.fibers[next].stack);
    }
}

VECTORISED void multiplyFragments(Warp &warp) {
    float left[16][16], right[16][8], sums[16][8];
    for (int lane = 0; lane < warpSize; lane++) {
        const int g = lane / 4, t = lane % 4 * 2;
        for (int i = 0; i < 4; i++) {
            const int row = g + i % 2 * 8, k = t + i / 2 * 8;
            left[row][k] = widen((uint16_t)warp.in[lane][i]);
            left[row][k + 1] = widen((uint16_t)(warp.in[lane][i] >> 16));
        }
        for (int i = 0; i < 2; i++) {
            right[t + i * 8][g] = widen((uint16_t)warp.in[lane][4 + i]);
            right[t + i * 8 + 1][g] = widen((uint16_t)(warp.in[lane][4 + i] >> 16));
        }
    }
    for (int row = 0; row < 16; row++) {
        float sum[8] = {};
        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 8; n++) sum[n] += left[row][k] * right[k][n];
        memcpy(sums[row], sum, sizeof sum);
    }
    for (int lane = 0; lane < warpSize; lane++)
        for (int i = 0; i < 2; i++) memcpy(&warp.out[lane][2 * i], &sums[lane / 4 + i * 8][lane % 4 * 2], 8);
}

namespace {

thread_local std::string lastFailure;

// A launch, whose blocks are taken one after the other by any thread.
struct Grid {
    dim3 grid, block;
    size_t sharedBytes;
    bool isReversed;
    const std::function<void()> &body;
    const size_t count = (size_t)grid.x * grid.y * grid.z;
    std::atomic<size_t> next = 0;
    // Of the first block that failed: those before it were taken before it.
    std::mutex lock;
    size_t failed = SIZE_MAX;
    std::string failure;
};

void runBlock(Block &state, const Grid &grid, size_t number) {
    const size_t place = grid.isReversed ? grid.count - 1 - number : number;
    state.index = {
        (unsigned)(place % grid.grid.x), (unsigned)(place / grid.grid.x % grid.grid.y),
        (unsigned)(place / grid.grid.x / grid.grid.y)};
    state.shared.assign(grid.sharedBytes + 128, 0xff);
    state.alive = state.count;
    state.arrived = 0;
    state.idle = 0;
    for (auto &warp : state.warps) warp.alive = warp.arrived = 0;
    for (int i = 0; i < state.count; i++) {
        Fiber &fiber = state.fibers[i];
        const dim3 &block = grid.block;
        fiber.isDone = false;
        fiber.thread = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
        fiber.copies.clear();
        fiber.groups.clear();
        prepare(fiber, i % warpSize * stackShift, run);
        state.warps[i / warpSize].alive++;
    }
    state.current = grid.isReversed ? state.count - 1 : 0;
    change(&state.mainStack, state.fibers[state.current].stack);
}

void runBlocks(Grid &grid) {
    // Kept from launch to launch: stacks are large.
    thread_local Block state;
    running = &state;
    state.failure.clear();
    state.grid = grid.grid;
    state.block = grid.block;
    state.body = &grid.body;
    state.isReversed = grid.isReversed;
    state.count = (int)(grid.block.x * grid.block.y * grid.block.z);
    if (state.fibers.size() < (size_t)state.count) state.fibers.resize(state.count);
    for (auto &fiber : state.fibers)
        if (!fiber.memory) fiber.memory.reset(new unsigned char[stackBytes]);
    state.warps.resize((state.count + warpSize - 1) / warpSize);
    for (size_t number = grid.next++; number < grid.count; number = grid.next++) {
        runBlock(state, grid, number);
        if (state.failure.empty()) continue;
        grid.next = grid.count;
        const std::lock_guard hold(grid.lock);
        if (number < grid.failed) grid.failed = number, grid.failure = state.failure;
        break;
    }
    running = nullptr;
}

// Threads that help with any launch that has blocks left. They last as long as the process.
class Helpers {
  public:
    Helpers() {
        for (unsigned i = 1; i < std::thread::hardware_concurrency(); i++) std::thread([this] { help(); }).detach();
    }

    void run(Grid &grid) {
        Job job{&grid};
        {
            const std::lock_guard hold(lock);
            jobs.push_back(&job);
        }
        added.notify_all();
        runBlocks(grid);
        std::unique_lock hold(lock);
        jobs.remove(&job);
        left.wait(hold, [&] { return job.helping == 0; });
    }

  private:
    struct Job {
        Grid *grid;
        int helping = 0;
    };

    [[noreturn]] void help() {
        std::unique_lock hold(lock);
        while (true) {
            Job *found = nullptr;
            for (Job *job : jobs)
                if (job->grid->next < job->grid->count) found = job;
            if (!found) {
                added.wait(hold);
                continue;
            }
            found->helping++;
            hold.unlock();
            runBlocks(*found->grid);
            hold.lock();
            if (--found->helping == 0) left.notify_all();
        }
    }

    std::mutex lock;
    std::condition_variable added, left;
    std::list<Job *> jobs;
};

}  // namespace

const char *failure() { return lastFailure.empty() ? nullptr : lastFailure.c_str(); }

void launch(dim3 grid, dim3 block, size_t sharedBytes, bool isReversed, const std::function<void()> &body) {
    // Never destroyed: its threads do not end.
    static Helpers &helpers = *new Helpers;
    Grid all{grid, block, sharedBytes, isReversed, body};
    const size_t threads = all.count * block.x * block.y * block.z;
    // Below that the others are woken for nothing.
    if (all.count > 1 && threads >= 1024) helpers.run(all);
    else runBlocks(all);
    lastFailure = all.failure;
}

}  // namespace shim
