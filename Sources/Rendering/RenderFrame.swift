/// The fixed head of every message from `quire-render`; the payload's bytes follow it.
///
/// 48 bytes, little endian: magic, status, number, width, height and a zero (4 bytes each), dots an inch (float64;
/// 0 where unknown), microseconds and payload length (8 bytes each).
package struct FrameHeader: Sendable, Equatable {
    /// What a message says.
    package enum Status: UInt32, Sendable, CaseIterable {
        /// RGB bytes of page `number`, or a JPEG file for box `number`.
        case image = 0
        /// The document is open: `number` pages, `width` is the format (its place in `DocumentFormatName.allCases`).
        case opened = 1
        /// The payload is a sentence; `number` is the page, or 0 where it concerns the whole document.
        case damaged = 2
        case locked = 3
        case unopenable = 4
        case tooLarge = 5
        case broken = 6
        /// The payload is a `RenderNote` on page `number`, or with 0 on the document; the page or `opened` follows.
        case note = 7
        /// Whole, but of a kind that is not read.
        case unsupported = 8
    }

    package static let byteCount = 48
    private static let magic: UInt32 = 0x5152_4E44

    package var status: Status
    package var number: UInt32
    package var width: UInt32
    package var height: UInt32
    package var dpi: Double?
    package var microseconds: UInt64
    package var payloadBytes: UInt64

    package init(
        status: Status, number: Int, width: Int = 0, height: Int = 0, dpi: Double? = nil,
        microseconds: UInt64 = 0, payloadBytes: Int
    ) {
        self.status = status
        self.number = UInt32(clamping: number)
        self.width = UInt32(clamping: width)
        self.height = UInt32(clamping: height)
        self.dpi = dpi
        self.microseconds = microseconds
        self.payloadBytes = UInt64(clamping: payloadBytes)
    }

    /// The head as it goes through the pipe.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for word in [Self.magic, status.rawValue, number, width, height, 0] { append(word, to: &bytes) }
        for word in [(dpi ?? 0).bitPattern, microseconds, payloadBytes] { append(word, to: &bytes) }
        return bytes
    }

    /// Reads a head; nil where magic, status, length or dots an inch are not as agreed.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        func word<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T {
            (0..<T.bitWidth / 8).reduce(0) { $0 | T(truncatingIfNeeded: bytes[offset + $1]) << T($1 * 8) }
        }
        guard word(at: 0, as: UInt32.self) == Self.magic,
            let status = Status(rawValue: word(at: 4, as: UInt32.self))
        else { return nil }
        let dpi = Double(bitPattern: word(at: 24, as: UInt64.self))
        guard dpi >= 0, dpi <= 1e6 else { return nil }
        self.status = status
        number = word(at: 8, as: UInt32.self)
        width = word(at: 12, as: UInt32.self)
        height = word(at: 16, as: UInt32.self)
        self.dpi = dpi == 0 ? nil : dpi
        microseconds = word(at: 32, as: UInt64.self)
        payloadBytes = word(at: 40, as: UInt64.self)
    }

    private func append<T: FixedWidthInteger>(_ word: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

extension FrameHeader.Status {
    /// The kind of error that a status stands for; nil for those that are none.
    package var errorKind: RenderError.Kind? {
        switch self {
        case .image, .opened, .note: nil
        case .damaged: .damaged
        case .locked: .locked
        case .unopenable: .unopenable
        case .tooLarge: .tooLarge
        case .broken: .broken
        case .unsupported: .unsupported
        }
    }

    /// The status that carries an error of this kind; what a child cannot say of itself counts as broken.
    package init(_ kind: RenderError.Kind) {
        self =
            switch kind {
            case .damaged: .damaged
            case .locked: .locked
            case .unopenable: .unopenable
            case .tooLarge: .tooLarge
            case .unsupported: .unsupported
            case .changed, .timedOut, .crashed, .interrupted, .broken, .machine, .unanswered: .broken
            }
    }
}
