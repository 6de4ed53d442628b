private import CPDFCore
private import CPoppler
private import Glibc
import Rendering

extension PDFDocument {
    /// Opens a document by poppler's core; what is given back opens it by poppler-glib as well.
    ///
    /// `password` is what the password file holds; nil where there is none.
    static func open(_ input: InputFile, _ password: [UInt8]?) throws(RenderError) -> (
        core: OpaquePointer, password: [UInt8]?
    ) {
        // First without: most documents that have a password file beside them by mistake need none.
        let first = attempt(input, nil)
        if let core = first.core { return (core, nil) }
        guard first.status == QUIRE_PDF_ENCRYPTED else {
            let reason =
                first.status == QUIRE_PDF_NO_CATALOG ? "Failed to read the document catalog" : "PDF document is damaged"
            throw RenderError(
                .damaged,
                "The PDF cannot be opened (\(reason)): it is cut off or damaged. Copy it again from its source, or repair "
                    + "it with qpdf or mutool.")
        }
        try checkSecurity(first.security)
        guard let password else {
            throw RenderError(
                .locked,
                "The PDF is encrypted: put its password into the first line of a file beside it, named like the PDF with "
                    + ".password added.")
        }
        for bytes in PasswordVariants(file: password)?.candidates ?? [] {
            if let core = attempt(input, bytes).core { return (core, bytes) }
        }
        throw RenderError(
            .locked,
            "The PDF is encrypted and the password in the .password file beside it is wrong: put the right one into that "
                + "file's first line.")
    }

    private static func attempt(
        _ input: InputFile, _ password: [UInt8]?
    ) -> (core: OpaquePointer?, status: Int, security: String) {
        // What was said of an attempt without the password is not about the document.
        quire_pdf_forget_messages()
        var status: Int32 = 0
        var security = [CChar](repeating: 0, count: 64)
        // The descriptor that is given is closed with the document.
        let descriptor = dup(input.descriptor)
        let core =
            if let password {
                password.withUnsafeBytes {
                    let start = $0.baseAddress?.assumingMemoryBound(to: CChar.self)
                    return quire_pdf_open(descriptor, start, password.count, &status, &security)
                }
            } else {
                quire_pdf_open(descriptor, nil, 0, &status, &security)
            }
        let name = security.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return (core, Int(status), String(decoding: name, as: UTF8.self).cleaned(upTo: 60))
    }

    /// Throws where no password could open the document: the handler is not the one that takes passwords.
    private static func checkSecurity(_ handler: String) throws(RenderError) {
        guard !handler.isEmpty, handler != "Standard" else { return }
        if handler.containsText("PubSec") || handler.containsText("Entrust") {
            throw RenderError(
                .unsupported,
                "The PDF is encrypted for the holders of certificates (\(handler)), which is not supported, and no password "
                    + "can open it: have a holder save a copy without encryption.")
        }
        throw RenderError(
            .unsupported,
            "The PDF is protected by \(handler), a system of rights management that is not supported, and no password can "
                + "open it: ask its publisher for a copy without protection.")
    }

    /// The document for poppler-glib, which draws by cairo; nil where that cannot open it.
    static func openForCairo(_ input: InputFile, _ password: [UInt8]?) -> OpaquePointer? {
        let descriptor = dup(input.descriptor)
        guard let password else { return poppler_document_new_from_fd(descriptor, nil, nil) }
        // poppler-glib makes Latin-1 of a password in UTF-8: each byte is handed over as a character.
        let characters = password.flatMap { Array(String(UnicodeScalar($0)).utf8) }
        return poppler_document_new_from_fd(descriptor, characters.map { CChar(bitPattern: $0) } + [0], nil)
    }
}
