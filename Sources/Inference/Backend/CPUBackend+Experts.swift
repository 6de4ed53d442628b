private import Glibc

/// The experts of each row, best first, and their weights: `[rows, count]` each.
package struct CPURouting {
    let count: Int
    let indices: [Int32]
    let weights: [Float]
}

extension CPUBackend {
    package func route(_ x: CPUTensor, gate: CPUWeight, count: Int, normalised: Bool, scale: Float) -> CPURouting {
        let scores = linear(x, gate, bias: nil)
        let experts = gate.outputs
        var indices: [Int32] = []
        var weights: [Float] = []
        indices.reserveCapacity(x.rows * count)
        weights.reserveCapacity(x.rows * count)
        scores.read { base in
            for row in 0..<x.rows {
                let line = UnsafeBufferPointer(start: base + row * experts, count: experts)
                let most = line.max() ?? 0
                var chances = line.map { expf($0 - most) }
                let sum = chances.reduce(0, +)
                for expert in 0..<experts { chances[expert] /= sum }
                let first = weights.count
                for _ in 0..<count {
                    var best = 0
                    for expert in 1..<experts where chances[expert] > chances[best] { best = expert }
                    indices.append(Int32(best))
                    weights.append(chances[best])
                    chances[best] = -1
                }
                let total = normalised ? weights[first...].reduce(0, +) + 1e-20 : 1
                for slot in first..<weights.count { weights[slot] = weights[slot] / total * scale }
            }
        }
        return CPURouting(count: count, indices: indices, weights: weights)
    }

    package func contents(of routing: CPURouting) -> (indices: [Int32], weights: [Float]) {
        (routing.indices, routing.weights)
    }

    /// Rows are grouped by expert, so that each expert's weights are read once; a task is a slice of one expert.
    package func addExperts(
        _ x: CPUTensor, _ routing: CPURouting, _ experts: [GatedMLP<CPUWeight>], to sum: inout CPUTensor
    ) {
        let groups = ExpertGroups(routing, experts: experts.count)
        let assignments = groups.slots.count
        let (hidden, inner) = (x.columns, experts[0].gate.outputs)
        precondition(assignments == x.rows * routing.count && sum.rows == x.rows, "every row is routed")
        let gathered = gatherRows(groups.slots.map { $0 / Int32(routing.count) }, from: [x])
        // Many rows keep every thread busy with whole experts; few rows need the experts cut up.
        let slices = assignments >= 8 * experts.count ? 1 : 4 * pool.threads
        let innerSlice = (inner + slices - 1) / slices
        let outerSlice = (hidden + slices - 1) / slices
        let scratch = max(
            scratchCount(rows: assignments, experts[0].gate), scratchCount(rows: assignments, experts[0].down))
        let activated = CPUTensor(rows: assignments, columns: inner) { gate in
            gathered.read { x in
                pool.run(groups.used.count * slices, scratch: scratch) { task, scratch in
                    let group = groups.used[task / slices]
                    let expert = experts[group.expert]
                    let first = min(inner, task % slices * innerSlice)
                    let outputs = first..<min(inner, first + innerSlice)
                    guard !outputs.isEmpty else { return }
                    let up = CPUTensor(rows: group.rows.count, columns: inner) { up in
                        for row in 0..<group.rows.count {
                            (up + row * inner + outputs.lowerBound).update(repeating: 0, count: outputs.count)
                        }
                        accumulate(
                            x + group.rows.lowerBound * hidden, rows: 0..<group.rows.count, xStride: hidden, expert.up,
                            outputs, into: up, yStride: inner, scratch)
                    }
                    for row in group.rows {
                        (gate + row * inner + outputs.lowerBound).update(repeating: 0, count: outputs.count)
                    }
                    accumulate(
                        x, rows: group.rows, xStride: hidden, expert.gate, outputs, into: gate, yStride: inner, scratch)
                    up.read { up in
                        for row in group.rows {
                            kernels.siluMultiply(
                                gate + row * inner + outputs.lowerBound,
                                up + (row - group.rows.lowerBound) * inner + outputs.lowerBound, outputs.count)
                        }
                    }
                }
            }
        }
        let results = CPUTensor(rows: assignments, columns: hidden) { y in
            activated.read { x in
                pool.run(groups.used.count * slices, scratch: scratch) { task, scratch in
                    let group = groups.used[task / slices]
                    let first = min(hidden, task % slices * outerSlice)
                    let outputs = first..<min(hidden, first + outerSlice)
                    guard !outputs.isEmpty else { return }
                    for row in group.rows {
                        (y + row * hidden + outputs.lowerBound).update(repeating: 0, count: outputs.count)
                    }
                    accumulate(
                        x, rows: group.rows, xStride: inner, experts[group.expert].down, outputs, into: y,
                        yStride: hidden, scratch)
                }
            }
        }
        sum.write { to in
            results.read { from in
                // Experts are added in the order of their numbers, whatever their weights.
                for (place, slot) in groups.slots.enumerated() {
                    let weight = routing.weights[Int(slot)]
                    let line = to + Int(slot) / routing.count * hidden
                    let result = from + place * hidden
                    for i in 0..<hidden { line[i] += weight * result[i] }
                }
            }
        }
    }
}

/// The assignments of rows to experts, sorted by expert.
private struct ExpertGroups {
    struct Group {
        let expert: Int
        /// Places in `slots`.
        let rows: Range<Int>
    }

    /// Positions in the routing, `row * count + place`, by expert.
    private(set) var slots: [Int32] = []
    /// The experts that have rows.
    private(set) var used: [Group] = []

    init(_ routing: CPURouting, experts: Int) {
        var byExpert = Array(repeating: [Int32](), count: experts)
        for (slot, expert) in routing.indices.enumerated() { byExpert[Int(expert)].append(Int32(slot)) }
        for (expert, own) in byExpert.enumerated() where !own.isEmpty {
            used.append(Group(expert: expert, rows: slots.count..<slots.count + own.count))
            slots += own
        }
    }
}
