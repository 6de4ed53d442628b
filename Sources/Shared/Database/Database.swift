/// One connection to PostgreSQL, on its own thread's queue: libpq blocks.
package actor Database {
    package init() {}
}
