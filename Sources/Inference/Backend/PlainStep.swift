/// A step of a backend that computes what it is asked for at once.
package final class PlainStep<Cache> {
    package let input: StepInput<Cache>
    /// What was chosen.
    fileprivate var tokens: [Int32] = []

    init(_ input: StepInput<Cache>) { self.input = input }
}

/// What a backend that computes everything at once need not write itself.
extension Backend where Step == PlainStep<Cache>, Moment == Void, Experts == [GatedMLP<Weight>] {
    package func check(_ configuration: ModelConfiguration) {}

    package var besideSteps: Self { self }

    /// Few positions at a time bound the memory; from about 4096 rows on nothing is gained by more.
    package var positionsTogether: Int { 6400 }

    package var promptTokensTogether: Int { .max }

    package func moment() {}

    package func follow(_ moment: Void) {}

    package func hasCome(_ moment: Void) -> Bool { true }

    package func releaseMemory() {}

    package func check() {}

    package func experts(_ experts: [GatedMLP<Weight>]) -> [GatedMLP<Weight>] { experts }

    package func scores(_ x: Tensor, _ weight: Weight) -> Tensor { linear(x, weight, bias: nil) }

    package func makeStep(_ input: StepInput<Cache>) -> PlainStep<Cache> { PlainStep(input) }

    package func embed(_ step: PlainStep<Cache>, table: Table) -> Tensor { embed(step.input.ids, table: table) }

    package func perform(
        _ step: PlainStep<Cache>, _ body: () throws(InferenceError) -> Void
    ) throws(InferenceError) {
        try body()
    }

    package func choose(_ x: Tensor, _ weight: Weight, for step: PlainStep<Cache>) {
        let bans = step.input.bans.map { $0.map { Array($0.tokens) } ?? [] }
        step.tokens = choose(x, weight, banned: bans.isEmpty ? Array(repeating: [], count: x.rows) : bans)
    }

    package func tokens(of step: PlainStep<Cache>) -> [Int32] { step.tokens }
}
