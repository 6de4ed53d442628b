extension PageQueue {
    /// A digest of which results a document `d` has, without reading them: 64 hexadecimal digits.
    ///
    /// It changes with every page that is settled, retried or reset, and with its notes; equal digests mean equal pages.
    /// A page without notes adds nothing for them, so that what was exported before there were any is still up to date.
    static let fingerprintSQL = """
        SELECT encode(sha256(convert_to(coalesce(string_agg(
          concat_ws(' ', page_no, state, token, extract(epoch FROM finished_at), redo_token, md5(notes::text)), ',' ORDER BY page_no), ''),
          'UTF8')), 'hex')
        FROM quire.page WHERE document_id = d.id
        """
}
