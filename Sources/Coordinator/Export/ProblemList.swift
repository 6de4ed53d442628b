/// How many problems of a kind there were, and the first of them, so that a bad batch does not fill the memory.
package struct ProblemList<Problem: Sendable>: Sendable, ExpressibleByArrayLiteral {
    package private(set) var count = 0
    /// The first ones.
    package private(set) var shown: [Problem] = []

    private static var longest: Int { 1000 }

    package init() {}

    package init(arrayLiteral problems: Problem...) { for problem in problems { append(problem) } }

    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ problem: Problem) {
        count += 1
        if shown.count < Self.longest { shown.append(problem) }
    }
}
