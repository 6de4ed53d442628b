/// How far lower precision is from the values wanted.
package enum RelativeError {
    /// The root of the mean squared difference, relative to that of the wanted values; infinite where something is not
    /// a number.
    package static func ofRoots(_ found: [Float], _ wanted: [Float]) -> Double {
        var (difference, square) = (0.0, 0.0)
        for (x, y) in zip(found, wanted) {
            difference += Double((x - y) * (x - y))
            square += Double(y * y)
        }
        return difference.isFinite ? (difference / square).squareRoot() : .infinity
    }
}
