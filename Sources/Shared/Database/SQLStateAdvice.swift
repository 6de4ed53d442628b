/// What a person can do about an error of the server.
enum SQLStateAdvice {
    /// read_only_sql_transaction: what a standby says to whoever wants to write.
    static let readOnly = "25006"

    static func advice(for sqlState: String) -> String? {
        switch sqlState {
        case "42501": "Grant the role its rights on the schema quire, or connect as the schema's owner."
        case "3F000", "42P01", "42704", "42703": "The schema is missing or old: run `quire migrate`."
        case "53100": "The server's disk is full: free some space there."
        case "53300": "The server has no connection left: stop other programs or raise max_connections."
        case readOnly: "This server is a read-only standby: connect to the primary."
        case "55P03": "Another program holds what this one needs; pg_blocking_pids() says which. Try again later."
        case "57014": "The statement was cancelled; its time limit may be too short."
        default: nil
        }
    }

    /// True for errors after which the same transaction may well succeed.
    static func isTransient(_ sqlState: String) -> Bool {
        ["40001", "40P01", "55P03"].contains(sqlState)
    }
}
