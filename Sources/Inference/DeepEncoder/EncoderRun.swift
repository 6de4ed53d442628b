/// What goes along with one pass through the model: where activations are collected, and whether to go on.
struct EncoderRun {
    let trace: ActivationTrace?
    /// Put in front of the names of activations, for instance `view.`.
    let prefix: String
    let isCancelled: () -> Bool

    init(trace: ActivationTrace? = nil, prefix: String = "", isCancelled: @escaping () -> Bool = { false }) {
        self.trace = trace
        self.prefix = prefix
        self.isCancelled = isCancelled
    }

    func check() throws(InferenceError) {
        if isCancelled() { throw .cancelled }
    }

    func record(_ name: String, _ shape: [Int], _ values: () -> [Float]) {
        trace?.record(prefix + name, shape: shape, values: values())
    }

    /// Records `[batches * side * side, channels]` as `[batches, channels, side, side]`.
    func recordChannelsFirst(_ name: String, batches: Int, side: Int, channels: Int, _ values: () -> [Float]) {
        guard let trace else { return }
        let places = side * side
        let last = values()
        var first = last
        for row in 0..<batches * places {
            let start = row / places * channels * places + row % places
            for channel in 0..<channels { first[start + channel * places] = last[row * channels + channel] }
        }
        trace.record(prefix + name, shape: [batches, channels, side, side], values: first)
    }
}
