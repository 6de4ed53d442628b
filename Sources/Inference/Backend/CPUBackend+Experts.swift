private import Glibc

/// The experts of each row, best first, and their weights: `[rows, count]` each.
package struct CPURouting {
    let count: Int
    let indices: [Int32]
    let weights: [Float]
}

extension CPUBackend {
    package func route(_ x: CPUTensor, gate: PackedWeight, count: Int, normalised: Bool, scale: Float) -> CPURouting {
        let scores = linear(x, gate, bias: nil)
        let experts = gate.outputs
        var indices: [Int32] = []
        var weights: [Float] = []
        indices.reserveCapacity(x.rows * count)
        weights.reserveCapacity(x.rows * count)
        scores.read { base in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: experts) { chances in
                for row in 0..<x.rows {
                    let line = UnsafeBufferPointer(start: base + row * experts, count: experts)
                    let most = line.max() ?? 0
                    var sum: Float = 0
                    for expert in 0..<experts {
                        chances[expert] = expf(line[expert] - most)
                        sum += chances[expert]
                    }
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
        }
        return CPURouting(count: count, indices: indices, weights: weights)
    }

    package func contents(of routing: CPURouting) -> (indices: [Int32], weights: [Float]) {
        (routing.indices, routing.weights)
    }

    /// Rows are grouped by expert, so that each expert's weights are read once; the shared experts are a group of all rows.
    package func addExperts(
        _ x: CPUTensor, _ routing: CPURouting, _ experts: [GatedMLP<PackedWeight>], shared: GatedMLP<PackedWeight>,
        to sum: inout CPUTensor
    ) {
        let groups = ExpertGroups(routing, experts: experts.count)
        let hidden = x.columns
        precondition(groups.places.count == x.rows * routing.count && sum.rows == x.rows, "every row is routed")
        let inner = experts[0].gateUp.outputs
        let plan = ExpertPlan(groups, threads: pool.threads)
        // The assigned rows' activations, then the shared experts', which may be wider.
        let gathered = gatherRows(groups.places.map { $0 / Int32(routing.count) }, from: [x])
        let activated = CPUTensor(rows: groups.places.count, columns: inner) { to in
            withRows(of: gathered, for: experts[0].gateUp) { rows in
                let pairs = experts[0].gateUp.panels / 2
                let scratch = gatedScratch(rows: plan.mostRows, pairs: plan.slice(of: pairs))
                pool.run(plan.taskCount, scratch: scratch) { task, scratch in
                    let (group, own) = plan.task(task, of: pairs)
                    guard !own.isEmpty else { return }
                    gate(
                        rows.from(group.rows.lowerBound), rows: group.rows.count, experts[group.expert].gateUp,
                        pairs: own, to: to + group.rows.lowerBound * inner, scratch: scratch)
                }
            }
        }
        let results = CPUTensor(rows: groups.places.count, columns: hidden) { to in
            withRows(of: activated, for: experts[0].down) { rows in
                let panels = experts[0].down.panels
                pool.run(plan.taskCount, scratch: Kernels.productScratch) { task, scratch in
                    let (group, own) = plan.task(task, of: panels)
                    guard !own.isEmpty else { return }
                    kernels.product(
                        rows.from(group.rows.lowerBound), rows: group.rows.count, experts[group.expert].down,
                        panels: own, into: to + group.rows.lowerBound * hidden + own.lowerBound * Kernels.panel,
                        stride: hidden, bias: nil, adding: false, scratch: scratch)
                }
            }
        }
        sum.write { to in
            results.read { from in
                pool.split(x.rows, least: 1 + 16384 / hidden) { part, _ in
                    for row in part {
                        // Experts are added in the order of their numbers, whatever their weights.
                        for slot in row * routing.count..<(row + 1) * routing.count {
                            let place = Int(groups.placesOfRows[slot])
                            kernels.addScaled(
                                to + row * hidden, from + place * hidden, routing.weights[Int(groups.places[place])],
                                hidden)
                        }
                    }
                }
            }
        }
        addGated(x, shared, to: &sum)
    }
}

/// How the products of grouped rows are cut into tasks: an expert each, or slices of one where there are few.
private struct ExpertPlan {
    struct Group {
        let expert: Int
        /// At most a block of places.
        let rows: Range<Int>
    }

    private let groups: [Group]
    private let slices: Int

    init(_ groups: ExpertGroups, threads: Int) {
        self.groups = groups.used.flatMap { group in
            stride(from: group.rows.lowerBound, to: group.rows.upperBound, by: Kernels.block).map {
                Group(expert: group.expert, rows: $0..<min(group.rows.upperBound, $0 + Kernels.block))
            }
        }
        let wanted = threads == 1 ? 1 : 16 * threads
        slices = max(1, (wanted + self.groups.count - 1) / max(1, self.groups.count))
    }

    var taskCount: Int { groups.count * slices }

    var mostRows: Int { groups.map(\.rows.count).max() ?? 0 }

    func slice(of count: Int) -> Int { (count + slices - 1) / slices }

    /// Which group's rows, and which of `count` panels or pairs.
    func task(_ number: Int, of count: Int) -> (group: Group, own: Range<Int>) {
        let size = slice(of: count)
        let first = min(count, number % slices * size)
        return (groups[number / slices], first..<min(count, first + size))
    }
}

/// The assignments of rows to experts, sorted by expert.
private struct ExpertGroups {
    struct Group {
        let expert: Int
        /// Places in `places`.
        let rows: Range<Int>
    }

    /// Positions in the routing, `row * count + slot`, by expert.
    let places: [Int32]
    /// For each row its places, in the order of the experts' numbers: `[rows, count]`.
    let placesOfRows: [Int32]
    /// The experts that have rows.
    private(set) var used: [Group] = []

    init(_ routing: CPURouting, experts: Int) {
        var next = Array(repeating: 0, count: experts + 1)
        for expert in routing.indices { next[Int(expert) + 1] += 1 }
        for expert in 0..<experts {
            if next[expert + 1] > 0 {
                used.append(Group(expert: expert, rows: next[expert]..<next[expert] + next[expert + 1]))
            }
            next[expert + 1] += next[expert]
        }
        var places = Array(repeating: Int32(0), count: routing.indices.count)
        for (position, expert) in routing.indices.enumerated() {
            places[next[Int(expert)]] = Int32(position)
            next[Int(expert)] += 1
        }
        var filled = Array(repeating: 0, count: routing.indices.count / max(1, routing.count))
        var placesOfRows = places
        for (place, position) in places.enumerated() {
            let row = Int(position) / routing.count
            placesOfRows[row * routing.count + filled[row]] = Int32(place)
            filled[row] += 1
        }
        self.places = places
        self.placesOfRows = placesOfRows
    }
}
