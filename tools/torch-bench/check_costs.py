"""Whether costs are counted as Quire counts them (ModelCostsTests, docs/model.md), and pages are reckoned right."""
from costs import Costs
from gpu_table import Ceilings, page
from weights import Config


def check_costs():
    costs = Costs(Config())
    views = [round(costs.view(side) / 1e9, 1) for side in (512, 640, 1024, 1280)]
    assert views == [268.3, 388.1, 1140.0, 1943.2], views
    prompts = [round(costs.prefill(tokens + 10) / 1e9) for tokens in (73, 273, 903, 2773)]
    assert prompts == [68, 234, 772, 2513], prompts
    steps = [round(costs.decoding(context) / 1e9, 2) for context in (300, 1000, 8192)]
    assert steps == [1.17, 1.21, 1.65], steps
    # One token reads 6 of 64 experts; very many read all.
    text = Config().text
    expert = 11 * 3 * text.hidden_size * text.moe_intermediate_size
    assert abs(costs.weights_read(10000) - costs.weights_read(1) - 58 * expert) < 1e-6 * expert


def check_page():
    rows = [
        {"what": "copy", "milliseconds": 2, "bytes": 2000}, {"what": "copy", "milliseconds": 1, "bytes": 500},
        {"what": "product", "milliseconds": 1, "flops": 100},
        {"what": "encode", "batch": 1, "milliseconds": 10, "flops": 500},
        {"what": "encode", "batch": 8, "milliseconds": 40, "flops": 2000},
        {"what": "prefill", "batch": 1, "milliseconds": 4, "flops": 200, "bytes": 1000},
        {"what": "prefill", "batch": 8, "failure": "out of memory"},
        {"what": "decode", "batch": 1, "milliseconds": 2, "bytes": 1000, "tokens": 7},
        {"what": "decode", "batch": 64, "milliseconds": 32, "bytes": 8000, "tokens": 7},
        {"what": "decode", "batch": 256, "failure": "out of memory"},
    ]
    ceilings = Ceilings.of(rows)
    assert ceilings == Ceilings(bytes=1000, flops=100), ceilings
    assert page(rows, 1, 10, ceilings) == (10 + 4 + 10 * 2, 5 + 2 + 10 * 1, 7)
    assert page(rows, 64, 10, ceilings) == (5 + 4 + 10 * 0.5, 2.5 + 2 + 10 * 0.125, 7)
    assert page(rows, 256, 10, ceilings) is None


if __name__ == "__main__":
    check_costs()
    check_page()
    print("costs and pages are reckoned right")
