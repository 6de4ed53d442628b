private import CJPEG
private import Glibc
import Rendering

/// `quire-render jpeg`: cuts boxes out of a page image and sends each as a JPEG file.
struct CropEncoder {
    private let limits: RenderLimits

    init(limits: RenderLimits) { self.limits = limits }

    /// Reads the order and the pixels from the document's descriptor.
    func run(to output: Output) throws(RenderError) {
        let mapping = try InputFile(descriptor: RenderRequest.documentDescriptor).mapped()
        try withExtendedLifetime(mapping) { () throws(RenderError) in try run(mapping.bytes, to: output) }
    }

    private func run(_ input: UnsafeRawBufferPointer, to output: Output) throws(RenderError) {
        guard let order = CropOrder(input), order.width <= limits.maxPixels / order.height else {
            throw RenderError(.broken, "quire-render was given an image that it does not understand.")
        }
        let pixels = UnsafeRawBufferPointer(rebasing: input[order.byteCount...])
        let reporter = FatalReporter(output: output, introduction: "A figure cannot be saved as JPEG")
        for (index, box) in order.boxes.enumerated() {
            reporter.number = index
            Confinement.allowProcessorSeconds(limits.wholeSecondsPerPage)
            let (width, height) = (box.x2 - box.x1, box.y2 - box.y1)
            let fits = (1...Int(JPEG_MAX_DIMENSION)).contains(width) && (1...Int(JPEG_MAX_DIMENSION)).contains(height)
            guard fits, width <= limits.maxPixels / height else {
                output.send(FrameHeader(status: .image, number: index, payloadBytes: 0))
                continue
            }
            encode(box, of: pixels, order, reporter) { file in
                let header = FrameHeader(
                    status: .image, number: index, width: width, height: height, payloadBytes: file.count)
                output.send(header, file)
            }
        }
    }

    private func encode(
        _ box: PixelBox, of pixels: UnsafeRawBufferPointer, _ order: CropOrder, _ reporter: FatalReporter,
        _ send: (UnsafeRawBufferPointer) -> Void
    ) {
        let (width, height) = (box.x2 - box.x1, box.y2 - box.y1)
        let state = UnsafeMutablePointer<jpeg_compress_struct>.allocate(capacity: 1)
        let errors = UnsafeMutablePointer<jpeg_error_mgr>.allocate(capacity: 1)
        let start = UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>.allocate(capacity: 1)
        let size = UnsafeMutablePointer<UInt>.allocate(capacity: 1)
        state.initialize(to: jpeg_compress_struct())
        errors.initialize(to: jpeg_error_mgr())
        start.initialize(to: nil)
        size.initialize(to: 0)
        defer {
            jpeg_destroy_compress(state)
            free(start.pointee)
            state.deallocate()
            errors.deallocate()
            start.deallocate()
            size.deallocate()
        }
        state.pointee.err = jpeg_std_error(errors)
        errors.pointee.error_exit = { state in
            let reporter = FatalReporter.from(state?.pointee.client_data)
            reporter?.fail("libjpeg's error \(state?.pointee.err?.pointee.msg_code ?? 0)")
            _exit(1)
        }
        errors.pointee.output_message = { _ in }
        state.pointee.client_data = reporter.context
        jpeg_CreateCompress(state, JPEG_LIB_VERSION, MemoryLayout<jpeg_compress_struct>.size)
        jpeg_mem_dest(state, start, size)
        state.pointee.image_width = JDIMENSION(width)
        state.pointee.image_height = JDIMENSION(height)
        state.pointee.input_components = 3
        state.pointee.in_color_space = JCS_RGB
        jpeg_set_defaults(state)
        jpeg_set_quality(state, Int32(order.quality), 1)
        jpeg_start_compress(state, 1)

        // The columns that lie within the image; what is outside stays black, as in the official crops.
        let from = min(max(box.x1, 0), order.width)
        let to = max(from, min(box.x2, order.width))
        for y in box.y1..<box.y2 {
            var line = [UInt8](repeating: 0, count: width * 3)
            if (0..<order.height).contains(y), from < to {
                let source = pixels[(y * order.width + from) * 3..<(y * order.width + to) * 3]
                line.replaceSubrange((from - box.x1) * 3..<(to - box.x1) * 3, with: source)
            }
            line.withUnsafeMutableBufferPointer { line in
                var row: JSAMPROW? = line.baseAddress
                jpeg_write_scanlines(state, &row, 1)
            }
        }
        jpeg_finish_compress(state)
        send(UnsafeRawBufferPointer(start: start.pointee, count: Int(size.pointee)))
    }
}
