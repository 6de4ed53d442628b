/// Something in the job tables that must not be, as `QueueCheck` finds it.
package struct QueueFault: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        /// Pages that have neither a result nor a job: nobody would ever read them.
        case unqueued
        /// Jobs that cover a page which another job of the batch covers too, or one that the document does not have.
        case misplacedJobs
        /// Results beyond a document's last page.
        case beyondLastPage
        /// Documents whose counts are not those of their pages and jobs.
        case documentCounts
        /// Batches whose counts are not those of their documents and files.
        case batchCounts
        /// Changes of counts that cannot be added to them.
        case stuckCounts
        /// Documents of a batch to which no file leads.
        case withoutFile
        /// Jobs of documents that their batch does not hold.
        case unheldJobs
        /// Jobs of batches that are cancelled, being deleted, or gone.
        case orphanJobs
        /// Batches with jobs that claims pass over.
        case hiddenJobs
        /// Leases of workers that ended some time ago.
        case deadLeases
    }

    package var kind: Kind
    /// Nil where it concerns no batch that there is.
    package var batch: Int64?
    package var batchName: String?
    /// Of pages, jobs, documents, batches or leases, as the kind says.
    package var count: Int
    /// One of them, for people; nil where there is nothing to show.
    package var example: String?

    /// What is wrong, in a sentence.
    package var text: String {
        let place = batchName.map { " of batch \($0)" } ?? ""
        let such = example.map { " (such as \($0))" } ?? ""
        return
            switch kind
        {
        case .unqueued:
            "\(many("page", "pages"))\(place) \(count == 1 ? "has" : "have") neither a result nor a job, so nobody would "
                + "read \(count == 1 ? "it" : "them")\(such)"
        case .misplacedJobs:
            "\(many("job", "jobs"))\(place) \(count == 1 ? "covers" : "cover") pages that another one covers, or that "
                + "are not there\(such)"
        case .beyondLastPage:
            "\(many("result", "results"))\(place) \(count == 1 ? "lies" : "lie") beyond the last page of the document\(such)"
        case .documentCounts:
            "\(many("document", "documents"))\(place) \(count == 1 ? "is" : "are") counted wrongly\(such)"
        case .batchCounts: "the counts\(place) are not those of its documents and files\(such)"
        case .stuckCounts: "the counts\(place) cannot be brought up to date\(such)"
        case .withoutFile:
            "\(many("document", "documents"))\(place) \(count == 1 ? "has" : "have") no file\(such)"
        case .unheldJobs:
            "\(many("job", "jobs"))\(place) \(count == 1 ? "is" : "are") of documents that the batch does not hold"
        case .orphanJobs:
            "\(many("job", "jobs")) \(count == 1 ? "belongs" : "belong") to \(batchName.map { "batch \($0), which is over" } ?? "batches that are gone")"
        case .hiddenJobs: "batch \(batchName ?? "?") has jobs, and is marked as having none, so nobody would claim them"
        case .deadLeases:
            "\(many("lease", "leases")) \(count == 1 ? "is" : "are") held by workers that ended minutes ago\(such)"
        }
    }

    private func many(_ one: String, _ several: String) -> String { "\(count) \(count == 1 ? one : several)" }
}
