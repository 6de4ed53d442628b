// The functions of cuBLASLt that Quire uses, over the shim: plain sums, and no more than the library's documentation
// allows. Numbers are those of cublasLt.h of CUDA 13.
#include "cuda_shim.h"
#include "queue.hpp"

#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>

using namespace shim;

namespace {

enum Status {
    success = 0,         // CUBLAS_STATUS_SUCCESS
    notInitialized = 1,  // CUBLAS_STATUS_NOT_INITIALIZED
    invalidValue = 7,    // CUBLAS_STATUS_INVALID_VALUE
    notSupported = 15,   // CUBLAS_STATUS_NOT_SUPPORTED
};

enum { float32 = 0, bfloat16 = 14 };               // CUDA_R_32F, CUDA_R_16BF
enum { defaultEpilogue = 1, biasEpilogue = 4 };    // CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS

struct Operation {
    int32_t transposeA = 0, transposeB = 0;
    uint32_t epilogue = defaultEpilogue;
    uint64_t bias = 0;
};

struct Layout {
    int32_t type;
    uint64_t rows, columns;
    int64_t leading;

    size_t bytes() const {
        return ((size_t)leading * (columns - 1) + rows) * (type == float32 ? 4 : 2);
    }
};

struct Preference {
    uint64_t workspaceBytes = 0;
    uint32_t reductionSchemes = 7;
};

// What a product was proposed for; another one may not use it.
struct Algorithm {
    uint64_t magic, outputs, inputs, type, epilogue, workspaceBytes, unused[2];
};

struct Proposal {
    Algorithm algorithm;
    size_t workspaceBytes;
    int state;
    float waves;
    int reserved[4];
};

constexpr uint64_t magic = 0x5158;
constexpr size_t neededWorkspace = 1 << 20;

float load(uint64_t address, size_t place, int type) {
    if (type == float32) return ((const float *)address)[place];
    return std::bit_cast<float>((uint32_t)((const uint16_t *)address)[place] << 16);
}

void store(uint64_t address, size_t place, int type, float value) {
    if (type == float32) {
        ((float *)address)[place] = value;
        return;
    }
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    ((uint16_t *)address)[place] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class Value> int take(Value &value, const void *from, size_t bytes) {
    if (bytes != sizeof value) return invalidValue;
    memcpy(&value, from, bytes);
    return success;
}

size_t version() { return 130802; }

int create(void **handle) {
    if (!quire_shim_current()) return notInitialized;
    *handle = quire_shim_current();
    return success;
}

int destroy(void *) { return success; }

int operationCreate(Operation **made, int compute, int scale) {
    // 68: CUBLAS_COMPUTE_32F.
    if (compute != 68 || scale != float32) return notSupported;
    *made = new Operation;
    return success;
}

int operationDestroy(Operation *old) {
    delete old;
    return success;
}

int operationSet(Operation *operation, int attribute, const void *value, size_t bytes) {
    switch (attribute) {
    case 3: return take(operation->transposeA, value, bytes);  // CUBLASLT_MATMUL_DESC_TRANSA
    case 4: return take(operation->transposeB, value, bytes);  // CUBLASLT_MATMUL_DESC_TRANSB
    case 7: return take(operation->epilogue, value, bytes);    // CUBLASLT_MATMUL_DESC_EPILOGUE
    case 8: return take(operation->bias, value, bytes);        // CUBLASLT_MATMUL_DESC_BIAS_POINTER
    default: return invalidValue;
    }
}

int layoutCreate(Layout **made, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (!rows || !columns || leading < (int64_t)rows) return invalidValue;
    *made = new Layout{type, rows, columns, leading};
    return success;
}

int layoutDestroy(Layout *old) {
    delete old;
    return success;
}

int layoutSet(Layout *layout, int attribute, const void *value, size_t bytes) {
    // 3: CUBLASLT_MATRIX_LAYOUT_COLS.
    return attribute == 3 ? take(layout->columns, value, bytes) : (int)invalidValue;
}

int preferenceCreate(Preference **made) {
    *made = new Preference;
    return success;
}

int preferenceDestroy(Preference *old) {
    delete old;
    return success;
}

int preferenceSet(Preference *preference, int attribute, const void *value, size_t bytes) {
    switch (attribute) {
    case 1: return take(preference->workspaceBytes, value, bytes);    // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
    case 3: return take(preference->reductionSchemes, value, bytes);  // ..._PREF_REDUCTION_SCHEME_MASK
    default: return invalidValue;
    }
}

// Whether the matrices fit each other and are of types that go together: of bfloat16 factors, a result of bfloat16 or f32.
int check(const Operation &operation, const Layout &a, const Layout &b, const Layout &c, const Layout &d) {
    const uint64_t outputs = operation.transposeA ? a.columns : a.rows;
    const uint64_t inputs = operation.transposeA ? a.rows : a.columns;
    const uint64_t inputsOfB = operation.transposeB ? b.columns : b.rows;
    const uint64_t rows = operation.transposeB ? b.rows : b.columns;
    if (inputs != inputsOfB || d.rows != outputs || d.columns != rows || c.rows != d.rows || c.columns != d.columns)
        return invalidValue;
    const bool isKnown = a.type == bfloat16 && b.type == bfloat16 && c.type == d.type
        && (operation.epilogue == defaultEpilogue || operation.epilogue == biasEpilogue);
    return isKnown ? success : notSupported;
}

int propose(
    void *, const Operation *operation, const Layout *a, const Layout *b, const Layout *c, const Layout *d,
    const Preference *preference, int requested, Proposal *proposals, int *count) {
    *count = 0;
    if (const int status = check(*operation, *a, *b, *c, *d)) return status;
    if (requested < 1) return invalidValue;
    // The alignment of the bias is taken from its pointer.
    if (operation->epilogue == biasEpilogue && (!operation->bias || operation->bias % 16)) return notSupported;
    if (preference->workspaceBytes < neededWorkspace || preference->reductionSchemes) return notSupported;
    Proposal proposal = {};
    proposal.algorithm = {magic, d->rows, a->rows, (uint64_t)d->type, operation->epilogue, neededWorkspace, {}};
    proposal.workspaceBytes = neededWorkspace;
    proposals[0] = proposal;
    *count = 1;
    return success;
}

int multiply(
    void *handle, const Operation *operation, const float *alpha, uint64_t a, const Layout *layoutA, uint64_t b,
    const Layout *layoutB, const float *beta, uint64_t c, const Layout *layoutC, uint64_t d, const Layout *layoutD,
    const Algorithm *algorithm, uint64_t workspace, size_t workspaceBytes, Stream *stream) {
    quire_shim_device *device = quire_shim_current();
    if (!device || handle != device) return notInitialized;
    if (const int status = check(*operation, *layoutA, *layoutB, *layoutC, *layoutD)) return status;
    if (algorithm->magic != magic || algorithm->outputs != layoutD->rows || algorithm->inputs != layoutA->rows
        || algorithm->type != (uint64_t)layoutD->type || algorithm->epilogue != operation->epilogue
        || workspaceBytes < algorithm->workspaceBytes || (a | b | c | d | operation->bias | workspace) % 16)
        return invalidValue;
    const std::lock_guard hold(device->lock);
    // All is as it was at the call.
    auto run = [=, op = *operation, la = *layoutA, lb = *layoutB, lc = *layoutC, ld = *layoutD, alpha = *alpha,
                beta = *beta]() -> std::string {
        const bool hasBias = op.epilogue == biasEpilogue;
        const auto lies = [&](uint64_t address, size_t bytes) { return device->heap.contains(address, bytes); };
        if (!lies(a, la.bytes()) || !lies(b, lb.bytes()) || !lies(c, lc.bytes()) || !lies(d, ld.bytes())
            || !lies(workspace, workspaceBytes) || (hasBias && !lies(op.bias, ld.rows * (ld.type == float32 ? 4 : 2))))
            return "cuBLASLt: a product uses memory of the device that was given back";
        memset((void *)workspace, 0xff, workspaceBytes);
        device->products++;
        const uint64_t inputs = op.transposeA ? la.rows : la.columns;
        for (uint64_t column = 0; column < ld.columns; column++) {
            for (uint64_t row = 0; row < ld.rows; row++) {
                float sum = 0;
                for (uint64_t k = 0; k < inputs; k++)
                    sum += load(a, op.transposeA ? k + row * la.leading : row + k * la.leading, la.type)
                        * load(b, op.transposeB ? column + k * lb.leading : k + column * lb.leading, lb.type);
                sum *= alpha;
                if (beta != 0) sum += beta * load(c, row + column * lc.leading, lc.type);
                if (hasBias) sum += load(op.bias, row, ld.type);
                store(d, row + column * ld.leading, ld.type, sum);
            }
        }
        return "";
    };
    device->add(*stream, Work{run});
    return success;
}

}  // namespace

void *quire_shim_products(const char *symbol) {
    static const std::unordered_map<std::string_view, void *> all = {
        {"cublasLtGetVersion", (void *)version},
        {"cublasLtCreate", (void *)create},
        {"cublasLtDestroy", (void *)destroy},
        {"cublasLtMatmulDescCreate", (void *)operationCreate},
        {"cublasLtMatmulDescDestroy", (void *)operationDestroy},
        {"cublasLtMatmulDescSetAttribute", (void *)operationSet},
        {"cublasLtMatrixLayoutCreate", (void *)layoutCreate},
        {"cublasLtMatrixLayoutDestroy", (void *)layoutDestroy},
        {"cublasLtMatrixLayoutSetAttribute", (void *)layoutSet},
        {"cublasLtMatmulPreferenceCreate", (void *)preferenceCreate},
        {"cublasLtMatmulPreferenceDestroy", (void *)preferenceDestroy},
        {"cublasLtMatmulPreferenceSetAttribute", (void *)preferenceSet},
        {"cublasLtMatmulAlgoGetHeuristic", (void *)propose},
        {"cublasLtMatmul", (void *)multiply},
    };
    const auto found = all.find(symbol);
    return found == all.end() ? nullptr : found->second;
}
