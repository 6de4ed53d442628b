extension PageQueue {
    /// A digest of which results a document `d` has, without reading them: 64 hexadecimal digits.
    ///
    /// It changes with every page that is settled, retried or reset; equal digests mean equal pages.
    static let fingerprintSQL = """
        SELECT encode(sha256(convert_to(coalesce(string_agg(
          concat_ws(' ', page_no, state, token, extract(epoch FROM finished_at), redo_token), ',' ORDER BY page_no), ''),
          'UTF8')), 'hex')
        FROM quire.page WHERE document_id = d.id
        """
}
