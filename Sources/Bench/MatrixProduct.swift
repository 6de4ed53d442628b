private import COpenBLAS

/// The yardstick: how fast this machine multiplies large f32 matrices.
enum MatrixProduct {
    /// Operations a second of OpenBLAS's sgemm on square matrices, the best of three runs.
    static func operationsPerSecond(threads: Int, side: Int = 2048) -> Double {
        openblas_set_num_threads(Int32(threads))
        let a = (0..<(side * side)).map { Float($0 % 1021) / 1021 - 0.5 }
        let b = (0..<(side * side)).map { Float($0 % 1019) / 1019 - 0.5 }
        var c = [Float](repeating: 0, count: side * side)
        let n = Int32(side)
        let clock = ContinuousClock()
        let best = (0..<4).map { _ in
            clock.measure {
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, &c, n)
            } / .seconds(1)
        }.min()
        return best.map { 2 * Double(side * side * side) / $0 } ?? 0
    }
}
