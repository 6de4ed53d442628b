#include "registry.hpp"

#include "shim.hpp"

#include <unordered_map>
#include <utility>

#include "../../Sources/CUDAKernels/kernels/kernels.cu"

using shim::mostArguments;

// Outside of `shim`: a kernel has the name of one of its functions.
namespace {

template <auto kernel> struct Call;
template <class... Arguments, void (*kernel)(Arguments...)> struct Call<kernel> {
    static constexpr int count = sizeof...(Arguments);
    static constexpr size_t sizes[] = {sizeof(Arguments)...};
    static_assert(count <= mostArguments && ((sizeof(Arguments) <= 8) && ...), "a launch has room for the arguments");

    template <size_t... i> static void apply(const void *const *arguments, std::index_sequence<i...>) {
        kernel(*static_cast<const Arguments *>(arguments[i])...);
    }
    static void run(const void *const *arguments) { apply(arguments, std::make_index_sequence<count>()); }
};

#define ENTRY(name) {#name, Call<name>::run, Call<name>::sizes, Call<name>::count}
#define ENTRIES(name) ENTRY(name##_16), ENTRY(name##_32), ENTRY(name##_64), ENTRY(name##_128)
#define WIDTHS(name) ENTRY(name##_16), ENTRY(name##_32), ENTRY(name##_64)

const shim::Kernel all[] = {
    ENTRY(rms_norm_f32), ENTRY(rms_norm_bf16), ENTRY(layer_norm_f32), ENTRY(layer_norm_bf16),
    ENTRY(add_f32), ENTRY(widen), ENTRY(narrow), ENTRY(fill_random),
    ENTRY(rope_write), ENTRY(route_rows), ENTRY(sort_by_expert), ENTRY(gather_experts),
    ENTRY(ban_ngrams), ENTRY(choose_best), ENTRY(convolve_32), ENTRY(convolve_128), ENTRY(cut_patches),
    ENTRY(gather_rows), ENTRY(embed_tokens), ENTRY(join_columns), ENTRIES(product), ENTRIES(experts_up),
    ENTRIES(experts_down), ENTRIES(choose), WIDTHS(decode_attention), ENTRY(decode_attention_128),
    WIDTHS(attend_prompt), ENTRY(attend_prompt_128), WIDTHS(attend_block), ENTRY(attend_block_24),
    WIDTHS(attend_grid), ENTRY(attend_grid_24),
};

}  // namespace

namespace shim {

const Kernel *findKernel(std::string_view name) {
    static const auto byName = [] {
        std::unordered_map<std::string_view, const Kernel *> found;
        for (const Kernel &kernel : all) found[kernel.name] = &kernel;
        return found;
    }();
    const auto found = byName.find(name);
    return found == byName.end() ? nullptr : found->second;
}

const Kernel *kernelAt(size_t number) { return number < std::size(all) ? &all[number] : nullptr; }

size_t kernelNumber(const Kernel *kernel) { return (size_t)(kernel - all); }

}  // namespace shim
