private import Glibc

/// The backend for NVIDIA's GPUs: own kernels, queued one after another.
///
/// Residuals and sums are f32, everything else is bfloat16. Every sum runs over its inputs in one order, so what a row gives
/// does not depend on the rows beside it. Widths are multiples of 8; there are kernels for some widths of heads.
///
/// A block is free for what is asked for next as soon as nobody holds it. Addresses are therefore taken in the call that
/// queues a kernel, or within `withExtendedLifetime`.
package struct CUDABackend: Backend {
    let context: CUDAContext
    let stream: CUDADevice.Stream

    /// A backend on a GPU of its own; `usesLibrary` lets cuBLASLt multiply in the encoder where the machine has it.
    ///
    /// - Throws: `deviceFailed` where there is no memory for staging.
    package init(_ device: CUDADevice, usesLibrary: Bool = true) throws(InferenceError) {
        context = try CUDAContext(device, usesLibrary: usesLibrary)
        stream = .decode
    }

    private init(_ context: CUDAContext, _ stream: CUDADevice.Stream) {
        self.context = context
        self.stream = stream
    }

    package var device: CUDADevice { context.device }

    /// The version of cuBLASLt that multiplies in the encoder; nil where the own kernels do.
    package var libraryVersion: String? { context.libraryProducts?.version }

    // MARK: - Order

    package var besideSteps: CUDABackend { CUDABackend(context, .encode) }

    /// Sixteen views of Base: enough rows for every tile of the GPU, and some 3 GB at work.
    package var positionsTogether: Int { 1 << 16 }

    package var promptTokensTogether: Int { 8192 }

    package func moment() -> CUDAEvent? {
        context.attempt { () throws(InferenceError) in
            let event = try device.makeEvent()
            try device.record(event, on: stream)
            return event
        }
    }

    package func follow(_ moment: CUDAEvent?) {
        guard let moment else { return }
        _ = context.attempt { () throws(InferenceError) in try device.wait(for: moment, on: stream) }
    }

    package func hasCome(_ moment: CUDAEvent?) -> Bool {
        guard let moment else { return true }
        return context.attempt { () throws(InferenceError) in try device.hasPassed(moment) } ?? true
    }

    package func releaseMemory() throws(InferenceError) { try context.trim() }

    package func check() throws(InferenceError) { try context.check() }

    // MARK: - Memory

    package func upload(_ values: [Float], rows: Int, columns: Int) -> CUDATensor {
        precondition(values.count == rows * columns, "a matrix has rows * columns elements")
        let tensor = matrix(rows, columns, isWide: true)
        values.withUnsafeBytes { send($0, to: tensor.block) }
        return tensor
    }

    package func download(_ tensor: CUDATensor) -> [Float] {
        let wide = widened(tensor)
        return read(Float.self, wide.count, from: wide.block.address) ?? Array(repeating: 0, count: wide.count)
    }

    /// Waits for elements; nil after a failure.
    func read<Element: BitwiseCopyable>(_ type: Element.Type, _ count: Int, from address: UInt64) -> [Element]? {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        defer { buffer.deallocate() }
        return context.attempt { () throws(InferenceError) in
            try device.copy(from: address, to: UnsafeMutableRawBufferPointer(buffer), on: stream)
            try device.wait(for: stream)
            return Array(buffer)
        }
    }

    /// Copies bytes, which may change after the call.
    func send(_ bytes: UnsafeRawBufferPointer, to block: DeviceBlock) {
        _ = context.attempt { () throws(InferenceError) in
            try context.ring(stream).copy(bytes, to: block.address)
        }
    }

    /// A block with an array's elements.
    func sent<Element: BitwiseCopyable>(_ elements: [Element]) -> DeviceBlock {
        let block = context.take(elements.count * MemoryLayout<Element>.stride, on: stream)
        elements.withUnsafeBytes { send($0, to: block) }
        return block
    }

    func matrix(_ rows: Int, _ columns: Int, isWide: Bool = false) -> CUDATensor {
        precondition(rows > 0 && columns > 0, "a GPU's matrices have elements")
        let block = context.take(rows * columns * (isWide ? 4 : 2), on: stream)
        return CUDATensor(rows: rows, columns: columns, isWide: isWide, block: block)
    }

    func launch(
        _ name: String, grid: (x: Int, y: Int, z: Int), threads: Int, shared: Int = 0,
        _ arguments: [KernelLaunch.Argument]
    ) {
        _ = context.attempt { () throws(InferenceError) in
            let launch = KernelLaunch(name, grid: grid, threads: threads, shared: shared, arguments)
            try noted(name) { () throws(InferenceError) in try device.launch(launch, on: stream) }
        }
    }

    /// Queues something whose time is noted under a name.
    func noted<R>(_ name: String, _ queue: () throws(InferenceError) -> R) throws(InferenceError) -> R {
        guard let profile = context.profile else { return try queue() }
        return try profile.run(name, on: stream, queue)
    }

    /// Notes the time of each kernel that `body` asks for.
    ///
    /// - Throws: What `body` throws, or what the driver says.
    package func profiled(_ body: () throws(InferenceError) -> Void) throws(InferenceError) -> [KernelProfile.Time] {
        let profile = KernelProfile(device)
        context.profile = profile
        defer { context.profile = nil }
        try body()
        try check()
        return try profile.times()
    }

    /// Runs a kernel that works on eight elements in each thread.
    func launchByEights(_ name: String, count: Int, _ arguments: [KernelLaunch.Argument]) {
        precondition(count % 8 == 0, "kernels take eight elements at a time")
        launch(name, grid: ((count / 8 + 255) / 256, 1, 1), threads: 256, arguments)
    }

    /// The same numbers as f32.
    func widened(_ x: CUDATensor) -> CUDATensor {
        guard !x.isWide else { return x }
        let wide = matrix(x.rows, x.columns, isWide: true)
        launchByEights("widen", count: x.count, [x.argument, wide.argument, .long(x.count)])
        return wide
    }

    /// The same numbers as bfloat16.
    func narrowed(_ x: CUDATensor) -> CUDATensor {
        guard x.isWide else { return x }
        let narrow = matrix(x.rows, x.columns)
        launchByEights("narrow", count: x.count, [x.argument, narrow.argument, .long(x.count)])
        return narrow
    }

    /// Makes a matrix one of f32 that nobody else sees, so that something can be added to it.
    func makeSum(_ x: inout CUDATensor) {
        if !x.isWide {
            x = widened(x)
        } else if !isKnownUniquelyReferenced(&x.block) {
            let copy = matrix(x.rows, x.columns, isWide: true)
            _ = context.attempt { () throws(InferenceError) in
                try device.copy(from: x.block.address, to: copy.block.address, bytes: x.bytes, on: stream)
            }
            x = copy
        }
    }

    // MARK: - Building matrices

    package func patches(of views: [PreparedImage.View], patch: Int) -> CUDATensor {
        guard let side = views.first?.side else { preconditionFailure("there is at least one view") }
        precondition(views.allSatisfy { $0.side == side } && side % patch == 0, "views have one size, of whole patches")
        let size = side * side * 3
        let pixels = context.take(views.count * size, on: stream)
        for (number, view) in views.enumerated() {
            _ = context.attempt { () throws(InferenceError) in
                let result = view.bytes.withUnsafeBytes { bytes in
                    Result { () throws(InferenceError) in
                        try context.ring(stream).copy(bytes, to: pixels.address + UInt64(number * size))
                    }
                }
                try result.get()
            }
        }
        let grid = side / patch
        let patches = matrix(views.count * grid * grid, 3 * patch * patch)
        launch(
            "cut_patches", grid: (patches.rows, 1, 1), threads: 256,
            [.address(pixels.address), patches.argument, .int(side), .int(patch)])
        return patches
    }

    package func embed(_ ids: [Int32], table: CUDAWeight) -> CUDATensor {
        precondition(ids.allSatisfy { $0 >= 0 && Int($0) < table.outputs }, "an id is a row of the table")
        let own = sent(ids)
        return withExtendedLifetime(own) { embed(at: own.address, count: ids.count, table: table) }
    }

    /// The rows of ids that lie at an address.
    func embed(at ids: UInt64, count: Int, table: CUDAWeight) -> CUDATensor {
        let rows = matrix(count, table.inputs)
        launch(
            "embed_tokens", grid: (count, 1, 1), threads: 128,
            [.address(ids), table.argument, rows.argument, .int(table.inputs)])
        return rows
    }

    package func gatherRows(_ indices: [Int32], from sources: [CUDATensor]) -> CUDATensor {
        guard let columns = sources.first?.columns else { preconditionFailure("there is something to gather from") }
        precondition(columns % 8 == 0 && sources.allSatisfy { $0.columns == columns }, "sources are equally wide")
        let isWide = sources.allSatisfy(\.isWide)
        let sources = isWide ? sources : sources.map { narrowed($0) }
        let rowBytes = UInt64(columns * (isWide ? 4 : 2))
        var addresses: [UInt64] = []
        for source in sources {
            addresses += (0..<UInt64(source.rows)).map { source.block.address + $0 * rowBytes }
        }
        let rows = sent(indices.map { addresses[Int($0)] })
        let gathered = matrix(indices.count, columns, isWide: isWide)
        let pieces = Int(rowBytes) / 16
        withExtendedLifetime(sources) {
            launch(
                "gather_rows", grid: (indices.count, 1, 1), threads: 128,
                [.address(rows.address), gathered.argument, .int(pieces)])
        }
        return gathered
    }

    package func joinColumns(_ left: CUDATensor, _ right: CUDATensor) -> CUDATensor {
        precondition(left.rows == right.rows, "joined matrices have equally many rows")
        let (left, right) = (narrowed(left), narrowed(right))
        let joined = matrix(left.rows, left.columns + right.columns)
        launch(
            "join_columns", grid: (left.rows, 1, 1), threads: 128,
            [left.argument, right.argument, joined.argument, .int(left.columns / 8), .int(right.columns / 8)])
        return joined
    }

    /// On the processor, and waits: tables of positions are resized once for each size of views.
    package func multiply(_ matrix: CUDATensor, blocksOf tensor: CUDATensor, batches: Int) -> CUDATensor {
        let (inner, columns) = (matrix.columns, tensor.columns)
        precondition(tensor.rows == batches * inner, "blocks have as many rows as the matrix has columns")
        let (a, b) = (download(matrix), download(tensor))
        var product = Array(repeating: Float(0), count: batches * matrix.rows * columns)
        for row in 0..<batches * matrix.rows {
            for k in 0..<inner {
                let factor = a[row % matrix.rows * inner + k]
                guard factor != 0 else { continue }
                let from = (row / matrix.rows * inner + k) * columns
                for column in 0..<columns { product[row * columns + column] += factor * b[from + column] }
            }
        }
        return upload(product, rows: batches * matrix.rows, columns: columns)
    }

    package func reshape(_ tensor: CUDATensor, rows: Int, columns: Int) -> CUDATensor {
        precondition(rows * columns == tensor.count, "a reshape keeps the number of elements")
        return CUDATensor(rows: rows, columns: columns, isWide: tensor.isWide, block: tensor.block)
    }
}
