/// Every question and order that programs put to the job tables. Stateless but for its connection; safe to share.
package struct PageQueue: Sendable {
    package let database: Database

    package init(database: Database) { self.database = database }
}
