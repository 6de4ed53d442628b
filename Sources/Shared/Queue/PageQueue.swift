/// Every question and order that programs put to the job tables.
///
/// Stateless but for its connection; safe to share. All calls may be repeated after a lost connection.
package struct PageQueue: Sendable {
    package let database: Database

    /// The most pages that one job has.
    static let pagesPerJob = 16

    package init(database: Database) { self.database = database }
}
