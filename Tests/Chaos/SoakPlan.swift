internal import TestSupport

/// How large a run is and what is done to it; the same seed gives the same faults after the same numbers of pages.
package struct SoakPlan: Sendable {
    package var seed: UInt64 = 1
    package var pages = 20_000
    /// Workers that reach the database directly, through the proxy, and from the other host where there is one.
    package var workers = (direct: 3, proxied: 3, remote: 2)
    package var pageMilliseconds = 50.0
    package var kills = 12
    package var zombies = 6
    package var crashes = 2
    package var halfOpen = 3
    package var linkDownSeconds = 60.0
    package var silenceSeconds = 3.0
    /// The run fails if it takes longer.
    package var patienceSeconds = 280.0

    package init() {}

    /// The form for `make test`.
    package static var short: SoakPlan {
        var plan = SoakPlan()
        plan.pages = 1500
        plan.workers = (direct: 3, proxied: 2, remote: 0)
        plan.pageMilliseconds = 25
        plan.kills = 3
        plan.zombies = 1
        plan.crashes = 1
        plan.halfOpen = 1
        plan.silenceSeconds = 1.5
        plan.patienceSeconds = 120
        return plan
    }

    /// Two hosts alone, and a link that is down for a few seconds.
    package static var shortTwoHosts: SoakPlan {
        var plan = SoakPlan.short
        plan.pages = 500
        plan.workers = (direct: 1, proxied: 0, remote: 2)
        (plan.kills, plan.zombies, plan.crashes, plan.halfOpen) = (0, 0, 0, 0)
        plan.linkDownSeconds = 3
        return plan
    }

    /// The faults in their order, each with the share of the pages after which it comes.
    func schedule(hasOtherHost: Bool) -> [(share: Double, kind: FaultKind)] {
        var generator = SeededGenerator(seed: seed)
        var kinds: [FaultKind] = []
        kinds += Array(repeating: .kill, count: kills) + Array(repeating: .zombie, count: zombies)
        kinds += Array(repeating: .crash, count: crashes) + Array(repeating: .halfOpen, count: halfOpen)
        kinds.shuffle(using: &generator)
        // It lasts longest, so it comes first.
        if hasOtherHost, workers.remote > 0 { kinds.insert(.linkDown, at: 0) }
        return kinds.enumerated().map { (0.05 + 0.8 * Double($0.offset) / Double(kinds.count), $0.element) }
    }

    /// How many pages each document has.
    var documents: [Int] { DocumentSizes.draw(pages: pages, seed: seed &+ 1) }
}
