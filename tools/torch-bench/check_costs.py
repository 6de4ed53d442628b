"""Whether costs are counted as Quire counts them (ModelCostsTests, docs/model.md), and the table is right."""
from costs import Costs
from gpu_table import table
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


def check_table():
    found = table([
        {"implementation": "torch", "what": "copy", "milliseconds": 1, "bytes": 4e9},
        {"implementation": "quire", "what": "copy", "milliseconds": 2, "bytes": 4e9},
        {"implementation": "torch", "what": "product", "milliseconds": 1, "flops": 8e11},
        {"implementation": "torch fair", "mode": "base", "what": "encode", "batch": 64, "pages": 8, "milliseconds": 40,
         "flops": 9e12},
        {"implementation": "quire", "mode": "base", "what": "encode", "batch": 64, "pages": 16, "milliseconds": 40,
         "flops": 18e12},
        {"implementation": "torch eager", "mode": "base", "what": "encode", "batch": 64, "pages": 1, "milliseconds": 5,
         "flops": 2e12},
        {"implementation": "torch fair", "mode": "base", "what": "decode", "batch": 512, "pages": 0.512,
         "failure": "out of memory"},
        {"implementation": "quire", "mode": "base", "what": "decode", "batch": 512, "pages": 0.512, "milliseconds": 8,
         "flops": 8e11, "bytes": 24e9},
        {"implementation": "quire", "mode": "base", "what": "page", "batch": 512, "pages": 1, "milliseconds": 20},
    ]).splitlines()
    assert found[0] == "Ceilings: copying 4.00 TB/s, bfloat16 products 800.0 TFLOP/s", found[0]
    rows = [" ".join(text.split()) for text in found[2:]]
    assert rows == [
        # Sixteen pages in the time of eight; the eager one's work is another.
        "base encode 64 quire 40.000 450.0 400.00 56 % of product 2.00",
        "base encode 64 torch eager 5.000 400.0 200.00 50 % of product",
        "base encode 64 torch fair 40.000 225.0 200.00 28 % of product",
        "base decode 512 quire 8.000 3.00 100.0 64.00 75 % of copy",
        "base decode 512 torch fair out of memory",
        "base page 512 quire 20.000 50.00 4,320,000",
    ], "\n".join(rows)


if __name__ == "__main__":
    check_costs()
    check_table()
    print("costs are counted as Quire counts them, and the table is right")
